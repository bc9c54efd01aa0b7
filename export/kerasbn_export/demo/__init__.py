"""``kerasbn demo``: train on real digits, fold, export, verify, and say what came of it."""
