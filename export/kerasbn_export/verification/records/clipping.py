"""Values that the grid of a quantised tensor cannot hold: its range was measured on too little.

For the values ``y`` that float64 gives and a grid from ``low`` to ``high``::

    clipped = y - min(max(y, low), high)        SQNR = 10 log10(sum y^2 / sum clipped^2)

Samples that the ranges were not measured on lie a little outside of them in correct files too. So the noise of the
clipped values alone has to be above the gate of the outputs, over several samples, in more than one of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.tflite.quantization import Quantization
from kerasbn_export.verification.records.measure import decibels

STEPS = 2.0
"""Of the grid: what rounding explains."""

SATURATED = 0.9
"""The part of the values outside that the file has at the ends of its range. Where it is less, they were moved."""

MOST, LOWEST = {"RELU6": 6.0, "RELU_N1_TO_1": 1.0}, {"RELU": 0.0, "RELU6": 0.0, "RELU_N1_TO_1": -1.0}
"""What activations that are fused into an operation clip on purpose."""


@dataclass(frozen=True)
class Clipping:
    """What a tensor's grid cannot hold.

    Attributes:
        share: The part of the values outside.
        sqnr_db: Signal to noise of the clipped values alone.
        held: The smallest and the largest value that the grid holds.
        reached: The smallest and the largest that it was to hold.
        times: The furthest that a value lies outside, as a multiple of what rounding explains.
    """

    share: float
    sqnr_db: float
    held: tuple[float, float]
    reached: tuple[float, float]
    times: float

    def of(self, layer: str, tensor: str) -> str:
        """The finding in words, without a full stop."""
        low, high = self.held
        return (
            f"{self.share:.1%} of the values of {layer!r} are clipped: the range of tensor {tensor!r} is "
            f"{low:.3g} to {high:.3g}, and they reach from {self.reached[0]:.3g} to {self.reached[1]:.3g}"
        )


class ClippingWatch:
    """Adds up what a grid cannot hold, sample by sample.

    Args:
        quantization: The grid.
        activation: What is fused into the operation.
    """

    def __init__(self, quantization: Quantization, activation: str) -> None:
        self._low, self._high = quantization.range
        self._margin = STEPS * quantization.scale
        self._activation = LOWEST.get(activation, -np.inf), MOST.get(activation, np.inf)
        self._signal = self._noise = self._furthest = 0.0
        self._ends = self._outside = self._count = 0
        self._reached = (np.inf, -np.inf)

    def update(self, right: Array, found: Array) -> None:
        """Take in the values that the grid was to hold, and those that it holds."""
        y = np.clip(right, *self._activation)
        beyond = y - self.held(right)
        over = np.abs(beyond) > self._margin
        at_end = np.where(beyond > 0, found >= self._high - self._margin, found <= self._low + self._margin)
        self._ends += int(np.sum(over & at_end))
        self._outside, self._count = self._outside + int(over.sum()), self._count + y.size
        self._signal, self._noise = self._signal + float(np.sum(y**2)), self._noise + float(np.sum(beyond**2))
        self._furthest = max(self._furthest, float(np.max(np.abs(beyond))))
        self._reached = min(self._reached[0], float(y.min())), max(self._reached[1], float(y.max()))

    def held(self, right: Array) -> Array:
        """What the grid can hold of some values."""
        inside: Array = np.clip(np.clip(right, *self._activation), self._low, self._high)
        return inside

    def result(self, min_sqnr: float | None) -> Clipping | None:
        """What was clipped; None if that is less noise than the gate allows, or if the file has other values there.

        Args:
            min_sqnr: The gate.
        """
        sqnr = decibels(self._signal, self._noise)
        if min_sqnr is None or sqnr >= min_sqnr or self._ends < max(1.0, SATURATED * self._outside):
            return None
        held, times = (self._low, self._high), self._furthest / self._margin
        return Clipping(self._outside / self._count, sqnr, held, self._reached, times)
