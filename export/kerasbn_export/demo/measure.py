"""Measures one form of the network against the trained model, on the test part."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasbn.flavour import Flavour
from kerasbn_export.arrays import Array
from kerasbn_export.benchmark.latency import Latency
from kerasbn_export.demo.leftovers import in_file, in_folded, layer_count
from kerasbn_export.demo.task import Task
from kerasbn_export.demo.variant import Variant
from kerasbn_export.folding.fold import FoldResult
from kerasbn_export.graph.batchnorm import KINDS, layer_kind
from kerasbn_export.tflite.file import read_tflite
from kerasbn_export.verification import verify
from kerasbn_export.verification.records.comparison import Comparison
from kerasbn_export.verification.sides.open import open_runnable
from kerasbn_models.data import Split

COMPARED = 400
"""Test samples that the verifier compares at most."""


@dataclass(frozen=True)
class Trained:
    """The trained model and what it is judged on.

    Attributes:
        model: With kerasbn's BatchNormalization.
        stock: The same weights in the BatchNormalization that Keras ships: what the stock converter is given.
        task: What it was trained for.
        split: The data.
        flavour: The Keras of both.
    """

    model: Any
    stock: Any
    task: Task
    split: Split
    flavour: Flavour

    @property
    def batchnorms(self) -> tuple[str, ...]:
        """The names of its BatchNorms."""
        return tuple(layer.name for layer in self.model.layers if layer_kind(self.flavour, layer) in KINDS)

    def answers_of(self, side: Any) -> list[Array]:
        """The outputs of a Keras model or of a .tflite file for the test part."""
        return open_runnable(side, backend="xnnpack", allow_code=False).run([self.split.test_x])

    def score_of(self, side: Any) -> float:
        """The task's score on the test part."""
        return self.task.score(self.answers_of(side), self.split.test_y)

    def compared_with(self, side: Any) -> Comparison:
        """The verifier's judgement over the test part, or the first of a large one."""
        return verify(self.model, side, data=self.split.test_x[:COMPARED])


def reference_variant(trained: Trained, name: str, path: Path) -> Variant:
    """The trained model itself."""
    score, ops = trained.score_of(trained.model), layer_count(trained.model)
    return Variant(name, path, "float32", False, score, len(trained.batchnorms), ops)


def keras_variant(trained: Trained, name: str, path: Path, folded: FoldResult) -> tuple[Variant, Comparison]:
    """The folded Keras model."""
    comparison = trained.compared_with(folded.model)
    left = len(in_folded(folded.verdicts))
    score, ops = trained.score_of(folded.model), layer_count(folded.model)
    return Variant(name, path, comparison.precision, True, score, left, ops).judged(comparison), comparison


def tflite_variant(trained: Trained, name: str, latency: Latency, *, ours: bool) -> tuple[Variant, Comparison]:
    """A .tflite file whose latency is known."""
    path, file = latency.path, read_tflite(latency.path)
    comparison = trained.compared_with(path)
    left = len(in_file(file, trained.batchnorms, [layer.name for layer in trained.model.layers]))
    score = trained.score_of(path)
    variant = Variant(name, path, comparison.precision, ours, score, left, len(file.ops), latency)
    return variant.judged(comparison), comparison
