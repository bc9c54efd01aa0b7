"""The two sides of a comparison as the comparison sees them: named ends and a way to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kerasbn_export.arrays import Array
from kerasbn_export.tflite.quantization import Quantization

if TYPE_CHECKING:
    from kerasbn_export.verification.network.network import Network


@dataclass(frozen=True)
class Port:
    """One input or output.

    Attributes:
        name: Its name as the model gives it.
        shape: With None for what the model leaves open; the first dimension is the batch.
        dtype: The dtype of the real values, also where the stored ones are quantised.
        quantization: How the stored values stand for real ones; None if they are the same.
        aliases: Other names it is known by, as the key of a dict.
        limit: For an input of indices, the number of valid ones; 0 if it is not known.
        made_up: Whether Keras made the name up and counts such names, as ``dense_1``.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    quantization: Quantization | None = None
    aliases: tuple[str, ...] = ()
    limit: int = 0
    made_up: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Every name it is known by."""
        return (self.name, *self.aliases)

    def fits(self, other: Port) -> bool:
        """Whether the shapes agree but for the batch and for what either leaves open."""
        return len(self.shape) == len(other.shape) and all(
            a is None or b is None or a == b for a, b in zip(self.shape[1:], other.shape[1:], strict=True)
        )

    def __str__(self) -> str:
        dimensions = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.name} ({dimensions}) {self.dtype}"


class Runnable(Protocol):
    """Something with inputs and outputs that can be run.

    Attributes:
        label: What it is, in words, for the report.
        precision: A key of `kerasbn_export.verification.records.gates.GATES`.
        inputs: Its inputs in order.
        outputs: Its outputs in order.
    """

    label: str
    precision: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    @property
    def referee(self) -> tuple[Network | None, str]:
        """Its float64 network; None and the reason where it has none."""
        ...

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The real values of every output for a number of samples given as real values."""
        ...

    def run_with_scores(self, arrays: Sequence[Array]) -> tuple[list[Array], list[Array | None]]:
        """The outputs, and each before its own softmax or sigmoid; None for an output that has none."""
        ...
