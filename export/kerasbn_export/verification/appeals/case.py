"""What an appeal is about: outputs outside the gate of a file in which no layer is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kerasbn_export.verification.network.network import Network
from kerasbn_export.verification.records.layers import LayerComparison
from kerasbn_export.verification.records.outputs import OutputComparison, Status
from kerasbn_export.verification.sides.sides import Batch, Sides

Outputs = tuple[OutputComparison, ...]
Key = tuple[int, str]
"""The number of an output, and its stage."""


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes:
        sides: The two sides.
        network: The reference in float64.
        batches: All samples.
        layers: The layers compared, of which none is called wrong.
    """

    sides: Sides
    network: Network
    batches: Sequence[Batch]
    layers: Sequence[LayerComparison]

    def is_heard(self, outputs: Outputs, precision: str) -> bool:
        """Whether every layer of a file of that precision is right, and an output is outside the gate all the same."""
        right = bool(self.layers) and all(layer.passed or layer.moved for layer in self.layers)
        return right and self.sides.candidate.precision == precision and any(map(is_open, outputs))


def is_open(output: OutputComparison) -> bool:
    """Whether an output differs by a distance."""
    return output.status is Status.DIFFERS and output.gate.tolerance is not None
