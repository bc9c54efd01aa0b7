"""The range that holds all but a few of the values.

    high = max(0, q(p))      low = min(0, q(1 - p))      p = 99.99 %

with ``q(p)`` the value that the part p of all values does not exceed. Each end is that of a bin, so that no more is cut
off than this. One value in ten thousand beyond an end is an outlier, and its size does not matter.

References:
    Wu et al. 2020, Integer Quantization for Deep Learning Inference, section 3.3.
"""

from __future__ import annotations

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.calibration.ranges.histogram import Histogram

SHARE = 0.9999


def percentile_range(histogram: Histogram, steps: int) -> tuple[float, float]:
    """The range.

    Args:
        histogram: The values.
        steps: Of the grid; more steps make no difference.
    """
    del steps
    edges = histogram.edges
    before = np.concatenate([[0], np.cumsum(histogram.counts)])
    below, above = before + _zeros(histogram, edges >= 0), before[-1] - before + _zeros(histogram, edges <= 0)
    wanted = SHARE * (before[-1] + histogram.zeros)
    high = edges[np.argmax(below >= wanted)]
    low = edges[len(edges) - 1 - np.argmax(above[::-1] >= wanted)]
    return min(0.0, float(low)), max(0.0, float(high))


def _zeros(histogram: Histogram, counted: Array) -> Array:
    """The exact zeros, where an edge has them on its side."""
    zeros: Array = np.where(counted, histogram.zeros, 0)
    return zeros
