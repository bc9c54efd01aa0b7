"""How sure a difference is: the paired bootstrap.

    d_k = m(y[rows_k], b[rows_k]) - m(y[rows_k], a[rows_k]),    rows_k drawn with replacement, k = 1..draws

The interval holds the middle 95 % of the d_k. Both models get the same rows, so what is hard for both is no difference.

References:
    Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasbn_export.metrics.metric import Metric

DRAWS, SLOW_DRAWS = 1000, 200
"""Of kerasbn's own metrics, and of others, which may take a while each time."""
WORK = 2_000_000_000
"""Numbers that are looked at in all: of large outputs there are fewer draws, but never below `FEWEST`."""
FEWEST = 100
TAILS = (2.5, 97.5)


def interval(metric: Metric, labels: Any, first: Any, second: Any, *, seed: int) -> tuple[float, float]:
    """The ends of the 95 % interval of ``metric(second) - metric(first)``.

    Args:
        metric: What is measured.
        labels: Of the samples.
        first: The outputs of one model, an array or a list of arrays.
        second: Those of the other.
        seed: Of the draws.
    """
    rng, count = np.random.default_rng(seed), samples_of(labels)
    found = []
    for _ in range(_draws(metric, first)):
        rows = rng.integers(0, count, count)
        drawn = take(labels, rows)
        found.append(metric(drawn, take(second, rows)) - metric(drawn, take(first, rows)))
    known = np.asarray(found)[np.isfinite(found)]  # a draw without a positive has no area
    if not known.size:
        return float("nan"), float("nan")
    low, high = np.percentile(known, TAILS)
    return float(low), float(high)


def _draws(metric: Metric, outputs: Any) -> int:
    size = sum(part.size for part in (outputs if isinstance(outputs, list) else [outputs]))
    most = DRAWS if metric.named else SLOW_DRAWS
    return int(np.clip(WORK // max(size, 1), FEWEST, most))


def take(values: Any, rows: Any) -> Any:
    """Some samples of an array, or of each array of a list or dict."""
    if isinstance(values, dict):
        return {name: take(value, rows) for name, value in values.items()}
    return [take(value, rows) for value in values] if isinstance(values, list) else values[rows]


def samples_of(values: Any) -> int:
    """How many samples there are."""
    while isinstance(values, (dict, list)):
        values = next(iter(values.values())) if isinstance(values, dict) else values[0]
    return len(values)
