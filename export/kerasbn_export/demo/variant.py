"""One form of the network as the demo measured it: a row of the table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kerasbn_export.latency import Latency


@dataclass(frozen=True)
class Variant:
    """What was measured of one form of the network.

    Attributes:
        name: What it is.
        path: The file it is in.
        precision: ``"float32"`` or ``"int8"``.
        accuracy: On the test images.
        batchnorms: BatchNorms that still cost operations when it runs.
        ops: Operations of a .tflite; layers of a Keras model.
        latency: Relative to the stock converter's file of the same precision; None for a Keras model.
        difference: ``max|difference| / max|reference|`` from the trained model, over the test images.
        sqnr_db: The same as a ratio of signal to noise; None for the trained model itself.
        agreement: The share of test images with the same answer as the trained model.
        equal: What the verifier says; None for the trained model itself.
    """

    name: str
    path: Path
    precision: str
    accuracy: float
    batchnorms: int
    ops: int
    latency: Latency | None
    difference: float
    sqnr_db: float | None
    agreement: float | None
    equal: bool | None

    @property
    def bytes(self) -> int:
        """The size of the file."""
        return self.path.stat().st_size

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values; the file by its name alone."""
        record = {**asdict(self), "path": self.path.name, "bytes": self.bytes}
        if self.latency is not None:
            record["latency"] = {**asdict(self.latency), "path": self.latency.path.name}
        return record
