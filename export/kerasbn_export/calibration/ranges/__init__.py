"""Other ranges of activations than the smallest and the largest value.

Takes a float file that holds the smallest and the largest value of each tensor, and samples. Counts the values, chooses
a range for each tensor by one of `METHODS`, and writes it into the file, from which the converter makes the grid.

The converter's own calibrator takes the smallest and the largest value too, but not always of the right tensor: what an
ADD or a MUL computes in the memory of its input, it takes for that input. ``"minmax"`` here takes each tensor's own.

A range is never wider than what was measured, and 0 is always in it: what an activation bounds stays bounded. Tensors
that the converter gives one grid get one range. What has a fixed grid, as a softmax has, keeps it.
"""

from kerasbn_export.calibration.ranges.methods import METHODS

__all__ = ["METHODS"]
