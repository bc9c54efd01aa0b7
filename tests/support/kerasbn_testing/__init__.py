"""What the folding tests and the long property run share: statistics, judging, random models."""
