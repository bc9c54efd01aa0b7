"""One form of the network as the demo measured it: a row of the table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from kerasbn_export.benchmark.latency import Latency
from kerasbn_export.verification.records.comparison import Comparison


@dataclass(frozen=True)
class Variant:
    """What was measured of one form of the network.

    Attributes:
        name: What it is.
        path: The file it is in.
        precision: ``"float32"`` or ``"int8"``.
        ours: Whether kerasbn made it.
        score: On the test part, what the demo's metric is: accuracy, or another number from 0 to 1.
        batchnorms: BatchNorms that still cost operations when it runs.
        ops: Operations of a .tflite; layers of a Keras model.
        latency: Relative to the stock converter's file of the same precision; None for a Keras model.
        difference: From the trained model over test samples, ``max|difference| / max|reference|``.
        sqnr_db: The same as a ratio of signal to noise; None for the trained model itself.
        agreement: The share of test samples with the same answer as the trained model.
        equal: What the verifier says; None for the trained model itself.
    """

    name: str
    path: Path
    precision: str
    ours: bool
    score: float
    batchnorms: int
    ops: int
    latency: Latency | None = None
    difference: float = 0.0
    sqnr_db: float | None = None
    agreement: float | None = None
    equal: bool | None = None

    @property
    def accuracy(self) -> float:
        """The score, where the demo is a classifier."""
        return self.score

    @property
    def bytes(self) -> int:
        """The size of the file."""
        return self.path.stat().st_size

    @property
    def group(self) -> str:
        """What it is compared with in the table: its precision, or ``"keras"``."""
        return "keras" if self.latency is None else self.precision

    def judged(self, comparison: Comparison) -> Variant:
        """The same with what the verifier found."""
        found = comparison.outputs[0].measurement
        return replace(
            self,
            difference=found.relative,
            sqnr_db=found.sqnr_db,
            agreement=found.agreement,
            equal=bool(comparison),
        )

    def to_json(self, metric: str = "accuracy") -> dict[str, Any]:
        """A dict of JSON values; the file by its name alone, the score by the name of the metric."""
        record = {metric if key == "score" else key: value for key, value in asdict(self).items()}
        record |= {"path": self.path.name, "bytes": self.bytes}
        if self.latency is not None:
            record["latency"] = {
                "milliseconds": self.latency.milliseconds,
                "ratio": self.latency.ratio,
                "quartiles": list(self.latency.spread),
            }
        return record
