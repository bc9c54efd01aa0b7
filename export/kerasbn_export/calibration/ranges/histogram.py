"""How often a tensor has which values: in bins of equal width, exact zeros apart."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from kerasbn_export.arrays import Array

BINS = 2048
"""As many as Migacz 2017 takes."""


@dataclass
class Histogram:
    """Counts of values, added up array by array.

    A ReLU gives many exact zeros. Every grid holds them without an error, so they are in no bin.

    Attributes:
        low: Where the bins begin: 0 or below.
        high: Where they end: 0 or above.
        counts: How many values lie in each bin. A value beyond an end is in the bin there.
        zeros: How many are exactly 0.
    """

    low: float
    high: float
    counts: Array = field(default_factory=lambda: np.zeros(BINS, np.int64))
    zeros: int = 0

    def add(self, values: Array) -> None:
        """Count the values of an array."""
        inside = values[values != 0]
        self.zeros += values.size - inside.size
        last = len(self.counts) - 1
        bins = np.clip((inside - self.low) * (len(self.counts) / (self.high - self.low)), 0, last).astype(np.int64)
        self.counts += np.bincount(bins, minlength=last + 1)

    @property
    def edges(self) -> Array:
        """The ends of the bins, one more than there are bins."""
        return np.linspace(self.low, self.high, len(self.counts) + 1)

    @property
    def centres(self) -> Array:
        """The middle of each bin."""
        middles: Array = (self.edges[1:] + self.edges[:-1]) / 2
        return middles
