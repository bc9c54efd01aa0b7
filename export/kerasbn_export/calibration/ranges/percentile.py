"""The range that holds all but a few of the values.

    high = max(0, q(p))      low = min(0, q(1 - p))      p = 99.99 %

with ``q(p)`` the value that the part p of all values does not exceed, exact zeros left out: where a tensor is nearly
always 0, its other values are what it says. Each end is that of a bin, so that no more is cut off than this. One value
in ten thousand beyond an end is an outlier, and its size does not matter.

References:
    Wu et al. 2020, Integer Quantization for Deep Learning Inference, section 3.3.
"""

from __future__ import annotations

import numpy as np

from kerasbn_export.calibration.ranges.histogram import Histogram

SHARE = 0.9999


def percentile_range(histogram: Histogram, steps: int) -> tuple[float, float]:
    """The range.

    Args:
        histogram: The values.
        steps: Of the grid; more steps make no difference.
    """
    del steps
    edges, below = histogram.edges, np.concatenate([[0], np.cumsum(histogram.counts)])
    total = below[-1]
    if not total:
        return histogram.low, histogram.high
    high = edges[np.argmax(below >= SHARE * total)]
    low = edges[np.flatnonzero(total - below >= SHARE * total)[-1]]
    return min(0.0, float(low)), max(0.0, float(high))
