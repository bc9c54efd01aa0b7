"""The range whose grid tells most of how the values are distributed.

    minimise   KL(P || Q) = sum_b P_b * log(P_b / Q_b)

over thresholds t on the magnitude. P are the counts of the bins in ``[max(low, -t), min(high, t)]``; what lies outside
is added to the bins at the ends. Q is the same without that, on the grid: each step shares its count among those of its
bins that are not empty. Exact zeros are left out. A window with fewer bins than the grid has steps is none, since its
Q would be its P. So t is at least an eighth of the largest value.

References:
    Migacz 2017, 8-bit Inference with TensorRT, slides 24 to 38.
"""

from __future__ import annotations

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.calibration.ranges.histogram import Histogram

THRESHOLDS = np.arange(128, 0, -1) / 128
"""Of the largest magnitude; the widest first, which is taken where others are no better."""


def entropy_range(histogram: Histogram, steps: int) -> tuple[float, float]:
    """The range.

    Args:
        histogram: The values.
        steps: Of the grid.
    """
    edges, best, found = histogram.edges, np.inf, (histogram.low, histogram.high)
    for threshold in THRESHOLDS * max(-histogram.low, histogram.high):
        low, high = max(histogram.low, -threshold), min(histogram.high, threshold)
        first, last = np.searchsorted(edges, low, side="right") - 1, np.searchsorted(edges, high, side="left")
        if last - first < steps:
            break
        value = divergence(histogram.counts, int(first), int(last), steps)
        if value < best:
            best, found = value, (min(0.0, float(edges[first])), max(0.0, float(edges[last])))
    return found


def divergence(counts: Array, first: int, last: int, steps: int) -> float:
    """KL(P || Q) of a window of bins; infinite where a step is empty that P has something in.

    Args:
        counts: Of all bins.
        first: The first bin of the window.
        last: One behind its last.
        steps: Of the grid.
    """
    inside = counts[first:last].astype(np.float64)
    p = inside.copy()
    p[0] += counts[:first].sum()
    p[-1] += counts[last:].sum()
    there = p > 0
    step = np.arange(len(p)) * steps // len(p)
    shared = np.bincount(step, inside, steps) / np.maximum(np.bincount(step, there, steps), 1)
    q = shared[step][there]
    if not there.any() or not q.all():
        return float("inf")
    p = p[there] / p.sum()
    return float(np.sum(p * np.log(p / (q / q.sum()))))
