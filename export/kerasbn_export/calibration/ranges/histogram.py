"""How often a tensor has which values: in bins of equal width, exact zeros apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kerasbn_export.arrays import Array

BINS = 2048
"""As many as Migacz 2017 takes, at most."""


@dataclass(frozen=True)
class Histogram:
    """Counts of values.

    A ReLU gives many exact zeros. Every grid holds them without an error, so they are in no bin.

    Attributes:
        low: Where the bins begin: 0 or below.
        high: Where they end: 0 or above.
        counts: How many values lie in each bin.
        zeros: How many are exactly 0.
    """

    low: float
    high: float
    counts: Array
    zeros: int = 0

    @property
    def edges(self) -> Array:
        """The ends of the bins, one more than there are bins."""
        return np.linspace(self.low, self.high, len(self.counts) + 1)

    @property
    def centres(self) -> Array:
        """The middle of each bin."""
        middles: Array = (self.edges[1:] + self.edges[:-1]) / 2
        return middles


class Counting:
    """Counts the values of a tensor array by array, in bins that get twice as wide where values lie beyond.

    Bin i holds the values from ``i * width`` on. So 0 is an end of two bins, and bins i = 2j and 2j + 1 become bin j.

    Args:
        expected: About how far the values reach from one end to the other.

    Attributes:
        smallest: The smallest value, or 0.
        largest: The largest value, or 0.
    """

    def __init__(self, expected: float) -> None:
        self.smallest = self.largest = 0.0
        self._width = max(expected, 1e-30) / (BINS - 2)
        self._first, self._counts, self._zeros = 0, np.zeros(1, np.int64), 0

    def add(self, values: Array) -> None:
        """Count the values of an array; infinite ones have no bin."""
        inside = values[np.isfinite(values) & (values != 0)].astype(np.float64)
        self._zeros += int(np.sum(values == 0))
        if not inside.size:
            return
        self.smallest = min(self.smallest, float(inside.min()))
        self.largest = max(self.largest, float(inside.max()))
        while self.largest // self._width - self.smallest // self._width >= BINS:
            self._double()
        self._reach(int(self.smallest // self._width), int(self.largest // self._width))
        bins = np.floor(inside / self._width).astype(np.int64) - self._first
        self._counts += np.bincount(np.clip(bins, 0, len(self._counts) - 1), minlength=len(self._counts))

    @property
    def histogram(self) -> Histogram:
        """What was counted; its ends are those of bins."""
        last = self._first + len(self._counts)
        return Histogram(self._first * self._width, last * self._width, self._counts, self._zeros)

    def _double(self) -> None:
        places = (np.arange(len(self._counts)) + self._first) // 2
        self._width, self._first = 2 * self._width, int(places[0])
        self._counts = np.bincount(places - places[0], self._counts).astype(np.int64)

    def _reach(self, first: int, last: int) -> None:
        """Empty bins at the ends, so that these two are there."""
        first, end = min(first, self._first), max(last + 1, self._first + len(self._counts))
        before, behind = self._first - first, end - self._first - len(self._counts)
        self._counts, self._first = np.pad(self._counts, (before, behind)), first
