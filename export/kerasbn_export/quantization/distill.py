"""A tuned model that learns from the float model; see `kerasbn.quantized.distillation`."""

from __future__ import annotations

from typing import Any

from kerasbn.flavour import flavour_of
from kerasbn.quantized.classes import DISTILLED, layers_of
from kerasbn_export.capture import capture
from kerasbn_export.graph.model import Value
from kerasbn_export.graph.structure import leaves


def distilled(tuned: Any, teacher: Any) -> Any:
    """The tuned model as one that learns from the teacher."""
    student = layers_of(flavour_of(tuned))[DISTILLED](tuned.inputs, tuned.outputs, name=tuned.name)
    student.teach(teacher, endings(teacher))
    return student


def endings(model: Any) -> tuple[str, ...]:
    """The activation that each output of a model ends in; empty for none that is known."""
    return tuple(_ending(value) for value in leaves(capture(model).outputs))


def _ending(value: Value) -> str:
    layer = value.producer.layer if value.producer is not None else None
    if layer is None or layer.kind is None:
        return ""
    return str(layer.config.get("activation", str(layer.kind).lower()))
