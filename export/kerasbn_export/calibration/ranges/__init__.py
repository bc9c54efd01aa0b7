"""Other ranges of activations than the smallest and the largest value.

Takes a float file that holds the smallest and the largest value of each tensor, and samples. Counts the values, chooses
a range for each tensor by one of `METHODS`, and writes it into the file, from which the converter makes the grid.

A range is never wider than what was measured, and 0 is always in it: what an activation bounds stays bounded. Tensors
that the converter gives one grid get one range. What has a fixed grid, as a softmax has, keeps it.
"""

from kerasbn_export.calibration.ranges.methods import METHODS, MIN_MAX

__all__ = ["METHODS", "MIN_MAX"]
