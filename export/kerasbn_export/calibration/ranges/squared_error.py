"""The range that costs the least noise in the tensor itself.

    minimise   E(low, high) = n_in * s^2 / 12  +  sum over x outside of (x - nearest end)^2,    s = (high - low) / steps

The first part is rounding to a step of size s, of all values inside but exact zeros; the second is clipping. Both ends
are sought among `FRACTIONS` of the measured ones, every pair of them.

References:
    Nagel et al. 2021, A White Paper on Neural Network Quantization, section 3.1, "Mean squared error (MSE)".
"""

from __future__ import annotations

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.calibration.ranges.histogram import Histogram

FRACTIONS = 2.0 ** (-np.arange(129) / 16)
"""From 1 to 1/256, each 4 % below the one before."""


def squared_error_range(histogram: Histogram, steps: int) -> tuple[float, float]:
    """The range.

    Args:
        histogram: The values.
        steps: Of the grid.
    """
    lows, highs = _ends(histogram.low), _ends(histogram.high)
    above, clipped_above = _beyond(histogram.counts, histogram.centres, highs)
    below, clipped_below = _beyond(histogram.counts[::-1], -histogram.centres[::-1], -lows)
    inside = histogram.counts.sum() - below[:, None] - above
    step = (highs - lows[:, None]) / steps
    error = inside * step**2 / 12 + clipped_below[:, None] + clipped_above
    row, column = np.unravel_index(np.argmin(error), error.shape)
    return float(lows[row]), float(highs[column])


def _ends(measured: float) -> Array:
    """What an end may be."""
    ends: Array = measured * FRACTIONS if measured else np.zeros(1)
    return ends


def _beyond(counts: Array, centres: Array, ends: Array) -> tuple[Array, Array]:
    """For each end how many values are above it, and the sum of their squared distances."""
    sums = [np.concatenate([np.cumsum((counts * power)[::-1])[::-1], [0.0]]) for power in (1.0, centres, centres**2)]
    number, first, second = (total[np.searchsorted(centres, ends, side="right")] for total in sums)
    return number, np.maximum(second - 2 * ends * first + ends**2 * number, 0.0)
