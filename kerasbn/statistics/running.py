"""Statistics over many batches, merged by Chan's formula in float64.

::

    n    = n_a + n_b
    d    = mean_b - mean_a
    mean = mean_a + d * n_b / n
    M2   = M2_a + M2_b + d² * n_a * n_b / n         M2 = sum (x - mean)²

It is exact in any order and any grouping, so batches, calls of a shared layer and workers are merged alike.

Source: Chan, Golub and LeVeque, 1979, "Updating formulae and a pairwise algorithm for computing sample variances".
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Running(NamedTuple):
    """Count, mean and sum of squared differences of each channel; tensors or arrays in float64."""

    count: Any
    mean: Any
    m2: Any

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Running:
        """Of no elements."""
        return cls(np.zeros(shape), np.zeros(shape), np.zeros(shape))

    def variance(self, *, unbiased: bool) -> Any:
        """``M2 / n``, or ``M2 / (n - 1)``; of one element 0."""
        return self.m2 / np.maximum(self.count - 1.0 if unbiased else self.count, 1.0)


def merged(one: Running, other: Running, maximum: Any = np.maximum) -> Running:
    """The statistics of both together.

    Args:
        one: Statistics.
        other: Statistics of other elements.
        maximum: Of the library whose tensors they are.
    """
    count = one.count + other.count
    share = other.count / maximum(count, 1.0)
    delta = other.mean - one.mean
    return Running(count, one.mean + delta * share, one.m2 + other.m2 + delta * delta * one.count * share)
