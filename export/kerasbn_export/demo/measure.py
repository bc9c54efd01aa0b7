"""Measures one form of the network against the trained model, on the test images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasbn.flavour import Flavour
from kerasbn_export.benchmark.latency import Latency
from kerasbn_export.demo.data import Digits
from kerasbn_export.demo.leftovers import in_file, in_folded, layer_count
from kerasbn_export.demo.train import accuracy
from kerasbn_export.demo.variant import Variant
from kerasbn_export.folding.fold import FoldResult
from kerasbn_export.graph.batchnorm import KINDS, layer_kind
from kerasbn_export.tflite.file import read_tflite
from kerasbn_export.verification import verify
from kerasbn_export.verification.records.comparison import Comparison
from kerasbn_export.verification.sides.open import open_runnable


@dataclass(frozen=True)
class Trained:
    """The trained model and what it is judged on.

    Attributes:
        model: With kerasbn's BatchNormalization.
        stock: The same weights in the BatchNormalization that Keras ships: what the stock converter is given.
        digits: The data.
        flavour: The Keras of both.
    """

    model: Any
    stock: Any
    digits: Digits
    flavour: Flavour

    @property
    def batchnorms(self) -> tuple[str, ...]:
        """The names of its BatchNorms."""
        return tuple(layer.name for layer in self.model.layers if layer_kind(self.flavour, layer) in KINDS)

    def accuracy_of(self, side: Any) -> float:
        """The accuracy on the test images of a Keras model or of a .tflite file."""
        (logits,) = open_runnable(side, backend="xnnpack", allow_code=False).run([self.digits.test_images])
        return accuracy(logits, self.digits.test_labels)

    def compared_with(self, side: Any) -> Comparison:
        """The verifier's judgement over the test images."""
        return verify(self.model, side, data=self.digits.test_images)


def reference_variant(trained: Trained, name: str, path: Path) -> Variant:
    """The trained model itself."""
    accuracy, ops = trained.accuracy_of(trained.model), layer_count(trained.model)
    return Variant(name, path, "float32", False, accuracy, len(trained.batchnorms), ops)


def keras_variant(trained: Trained, name: str, path: Path, folded: FoldResult) -> tuple[Variant, Comparison]:
    """The folded Keras model."""
    comparison = trained.compared_with(folded.model)
    left = len(in_folded(folded.verdicts))
    accuracy, ops = trained.accuracy_of(folded.model), layer_count(folded.model)
    return Variant(name, path, comparison.precision, True, accuracy, left, ops).judged(comparison), comparison


def tflite_variant(trained: Trained, name: str, latency: Latency, *, ours: bool) -> tuple[Variant, Comparison]:
    """A .tflite file whose latency is known."""
    path, file = latency.path, read_tflite(latency.path)
    comparison = trained.compared_with(path)
    left = len(in_file(file, trained.batchnorms, [layer.name for layer in trained.model.layers]))
    accuracy = trained.accuracy_of(path)
    variant = Variant(name, path, comparison.precision, ours, accuracy, left, len(file.ops), latency)
    return variant.judged(comparison), comparison
