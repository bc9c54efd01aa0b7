"""What samples make of the tensors of a quantized file.

For stored values ``v`` on a grid of step ``s``::

    SQNR = 10 log10(mean(v^2) / (s^2 / 12))        used = (max(v) - min(v)) / (high - low)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.tflite.quantization import Quantization
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner

ENDS = (-1.0, 0.0, 1.0, 6.0)
"""Where activations end on purpose."""


@dataclass
class Spread:
    """Values of a tensor, added up batch by batch."""

    grid: Quantization
    low: float = math.inf
    high: float = -math.inf
    squares: float = 0.0
    at_ends: int = 0
    count: int = 0

    def update(self, values: Array) -> None:
        """Take in some more values."""
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
        self.squares += float(np.sum(np.square(values, dtype=np.float64)))
        self.at_ends += sum(int(np.sum(np.abs(values - end) < self.grid.scale / 2)) for end in self._open_ends)
        self.count += values.size

    @property
    def _open_ends(self) -> list[float]:
        """The ends of the grid that no activation gives."""
        return [end for end in self.grid.range if min(abs(end - each) for each in ENDS) > 1.5 * self.grid.scale]

    @property
    def used(self) -> float:
        """The part of the grid that they reach."""
        low, high = self.grid.range
        return (self.high - self.low) / (high - low)

    @property
    def saturated(self) -> float:
        """The part of them at an end of the grid."""
        return self.at_ends / max(self.count, 1)

    @property
    def sqnr_db(self) -> float:
        """Signal to rounding noise of the grid; infinite for zeros, which it holds exactly."""
        power = self.squares / max(self.count, 1)
        return 10 * math.log10(12 * power) - 20 * math.log10(self.grid.scale) if power else math.inf


def spreads(runner: TFLiteRunner, arrays: Sequence[Array]) -> dict[int, Spread]:
    """By tensor the values that samples make in a file; those that are not quantized are left out.

    Args:
        runner: The file.
        arrays: The samples, in the order of its inputs.
    """
    tensors = [runner.graph.tensors[index] for index in runner.graph.dependent]
    found = {each.index: Spread(each.quantization) for each in tensors if each.quantization}
    for batch in Calibration(tuple(arrays), "data").batches(runner.batch(arrays)):
        for index, (_, values) in runner.kept(list(found), batch).items():
            found[index].update(values())
    return {index: spread for index, spread in found.items() if spread.count}
