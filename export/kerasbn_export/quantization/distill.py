"""A tuned model that learns from the float model; see `kerasbn.quantized.distillation`."""

from __future__ import annotations

from typing import Any

from kerasbn.flavour import flavour_of
from kerasbn.quantized.classes import DISTILLED, layers_of
from kerasbn.quantized.ranges import RangeMixin
from kerasbn_export.capture import capture
from kerasbn_export.emit.emit import emit
from kerasbn_export.graph.model import Graph, Value, substitute
from kerasbn_export.graph.structure import leaves

FLATTENING = ("softmax", "sigmoid")
"""Activations behind which differences hide."""


def distilled(tuned: Any, teacher: Any) -> Any:
    """The tuned model as one that learns from the teacher."""
    student = layers_of(flavour_of(tuned))[DISTILLED](tuned.inputs, tuned.outputs, name=tuned.name)
    graph = capture(student)
    taps = tuple(_tap(value) for value in leaves(graph.outputs))
    student.teach(_scores(teacher), taps, endings(teacher))
    return student


def endings(model: Any) -> tuple[str, ...]:
    """The activation that each output of a model ends in; empty for none that is known."""
    return tuple(_ending(value) for value in leaves(capture(model).outputs))


def _ending(value: Value) -> str:
    layer = value.producer.layer if value.producer is not None else None
    if layer is None or layer.kind is None:
        return ""
    return str(layer.config.get("activation", str(layer.kind).lower()))


def _tap(value: Value) -> Any:
    """The range of an output's scores: the last one, or the one before a softmax or sigmoid."""
    found: list[RangeMixin] = []
    while value.producer is not None and len(found) < 2:
        call = value.producer
        if isinstance(call.layer.source, RangeMixin):
            found.append(call.layer.source)
        if not call.inputs:
            break
        value = call.inputs[0]
    return found[1] if found[0].at_end else found[0]


def _scores(model: Any) -> Any:
    """A model of its own that gives each output before its softmax or sigmoid."""
    graph = capture(model)
    for value in list(leaves(graph.outputs)):
        if _ending(value) in FLATTENING:
            _without_ending(graph, value)
    return emit(graph)


def _without_ending(graph: Graph, value: Value) -> None:
    call = value.producer
    if call is None:
        return
    if call.layer.kind in ("Activation", "Softmax"):
        graph.outputs = substitute(graph.outputs, value, call.inputs[0])
    else:
        call.layer = call.layer.with_weights(call.layer.weights, activation="linear")
