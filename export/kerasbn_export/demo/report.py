"""What a run of the demo found, as data."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from kerasbn import __version__
from kerasbn_export.demo.scales import Scales
from kerasbn_export.demo.variant import Variant
from kerasbn_export.folding.verdict import Verdict

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class DemoReport:
    """The result of `run_demo`; true if everything that kerasbn wrote was verified.

    Attributes:
        keras: ``"keras"`` or ``"tf_keras"``.
        seed: Of the split, the initial weights and the order of the batches.
        epochs: How long the network was trained.
        seconds: The whole run.
        variants: The rows of the table; the trained model first.
        verdicts: One for each BatchNorm.
        int8_verdicts: The same of the int8 file, which may keep one where that measured better.
        layers: The layers that could be compared, in the order of computation.
        differences: Per form of the network, the cumulative difference at those layers it could be read at.
        scales: Per layer that folding changed, the scales of its output channels before and after.
        task: The name of the demo.
        title: The same in words.
        metric: What the scores are; every row of the JSON has its score under this name.
    """

    keras: str
    seed: int
    epochs: int
    seconds: float
    variants: tuple[Variant, ...]
    verdicts: tuple[Verdict, ...]
    layers: tuple[str, ...]
    differences: dict[str, dict[str, float]]
    scales: Scales
    task: str = "digits"
    title: str = "Digits"
    metric: str = "accuracy"
    int8_verdicts: tuple[Verdict, ...] = ()

    def __bool__(self) -> bool:
        return all(variant.equal is not False for variant in self.variants if variant.ours)

    @property
    def gone(self) -> int:
        """How many BatchNorms cost nothing any more."""
        return sum(verdict.gone for verdict in self.verdicts)

    @property
    def kept_in_int8(self) -> tuple[Verdict, ...]:
        """The BatchNorms that only the int8 file still has, each with the reason."""
        gone = {verdict.layer for verdict in self.verdicts if verdict.gone}
        return tuple(verdict for verdict in self.int8_verdicts if not verdict.gone and verdict.layer in gone)

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        packages = ("tensorflow", "keras", "tf-keras", "ai-edge-litert", "numpy")
        return {
            "schema_version": SCHEMA_VERSION,
            "kerasbn": __version__,
            "python": platform.python_version(),
            "packages": {package: version(package) for package in packages},
            "machine": platform.machine(),
            "task": self.task,
            "metric": self.metric,
            "keras": self.keras,
            "seed": self.seed,
            "epochs": self.epochs,
            "seconds": round(self.seconds, 1),
            "verified": bool(self),
            "variants": [variant.to_json(self.metric) for variant in self.variants],
            "verdicts": [verdict.to_json() for verdict in self.verdicts],
            "kept_in_int8": [verdict.to_json() for verdict in self.kept_in_int8],
            "layers": list(self.layers),
            "differences": self.differences,
            "scales": {
                name: {"before": before.tolist(), "after": after.tolist()}
                for name, (before, after) in self.scales.items()
            },
        }

    def json_bytes(self) -> bytes:
        """The same as the content of a file."""
        return (json.dumps(self.to_json(), indent=2, allow_nan=False) + "\n").encode()
