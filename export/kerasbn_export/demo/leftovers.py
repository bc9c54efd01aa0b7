"""Which BatchNorms still cost operations when a model runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from kerasbn_export.folding.verdict import Verdict
from kerasbn_export.tflite.file import TFLiteFile
from kerasbn_export.tflite.layer_names import Provenance


def in_file(file: TFLiteFile, batchnorms: Collection[str], layers: Iterable[str]) -> set[str]:
    """The BatchNorms that the file still multiplies or adds a per-channel constant for.

    Args:
        file: What `kerasbn_export.tflite.file.read_tflite` gives.
        batchnorms: The paths of the model's BatchNorms.
        layers: The paths of all its layers.
    """
    provenance = Provenance(layers, [tensor.name for op in file.ops for tensor in (*op.inputs, *op.outputs)])
    named = {path for op in file.affine_ops for tensor in op.outputs for path in provenance.layers(tensor.name)}
    return named & set(batchnorms)


def in_folded(verdicts: Iterable[Verdict]) -> set[str]:
    """The BatchNorms that the folded model still has."""
    return {verdict.layer for verdict in verdicts if not verdict.gone}


def layer_count(model: Any) -> int:
    """The layers of a functional model that compute something: all but its inputs."""
    return sum(type(layer).__name__ != "InputLayer" for layer in model.layers)
