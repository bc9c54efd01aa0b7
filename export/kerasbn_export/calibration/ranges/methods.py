"""The ways to choose a range, by name."""

from __future__ import annotations

from collections.abc import Callable

from kerasbn_export.calibration.ranges.entropy import entropy_range
from kerasbn_export.calibration.ranges.histogram import BINS, Histogram
from kerasbn_export.calibration.ranges.percentile import percentile_range
from kerasbn_export.calibration.ranges.squared_error import squared_error_range

Method = Callable[[Histogram, int], tuple[float, float]]


def smallest_and_largest(histogram: Histogram, steps: int) -> tuple[float, float]:
    """The range that cuts nothing off.

    Args:
        histogram: The values.
        steps: Of the grid; they make no difference.
    """
    del steps
    return histogram.low, histogram.high


METHODS: dict[str, Method] = {
    "minmax": smallest_and_largest,
    "percentile": percentile_range,
    "mse": squared_error_range,
    "entropy": entropy_range,
}
"""From the values of a tensor and the steps of its grid to the range."""
STEPS = {"int8": 255, "int16x8": 32767}
"""Of the grid of an activation, by precision; in int16x8 on one side of 0, since there the range is symmetric."""


def methods_for(precision: str) -> tuple[str, ...]:
    """The methods that can be told apart: entropy needs more bins than the grid has steps.

    Args:
        precision: A key of `STEPS`.
    """
    return tuple(name for name in METHODS if name != "entropy" or STEPS[precision] < BINS)
