"""A tuned model that learns from the float model; see `kerasbn.quantized.distillation`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerasbn.flavour import flavour_of
from kerasbn.quantized.classes import DISTILLED, layers_of
from kerasbn.quantized.ranges import RangeMixin
from kerasbn_export.capture import capture
from kerasbn_export.emit.emit import emit
from kerasbn_export.graph.model import Call, Graph, Value, substitute
from kerasbn_export.graph.structure import leaves

FLATTENING = ("softmax", "sigmoid")
"""Activations behind which differences hide."""


def distilled(tuned: Any, teacher: Any) -> Any:
    """The tuned model as one that learns from the teacher."""
    student = layers_of(flavour_of(tuned))[DISTILLED](tuned.inputs, tuned.outputs, name=tuned.name)
    graph = capture(student)
    taps = tuple(_tap(value) for value in leaves(graph.outputs))
    ends = [ending if tap else "" for tap, ending in zip(taps, endings(teacher), strict=True)]
    student.teach(_scores(teacher, ends), taps, tuple(ends))
    return student


def endings(model: Any) -> tuple[str, ...]:
    """The activation that each output of a model ends in; empty for none that is known."""
    return tuple(_ending(value) for value in leaves(capture(model).outputs))


def _ending(value: Value) -> str:
    layer = value.producer.layer if value.producer is not None else None
    if layer is None or layer.kind is None:
        return ""
    return str(layer.config.get("activation", str(layer.kind).lower()))


def _tap(value: Value) -> RangeMixin | None:
    """The range of an output's scores: its own, or the one before a softmax or sigmoid; None where it has none."""
    call = _maker(value)
    if call is not None and isinstance(call.layer.source, RangeMixin) and call.layer.source.at_end:
        activation = _maker(call.inputs[0])
        curved = activation is not None and activation.layer.kind in ("Activation", "Softmax")
        call = _maker(activation.inputs[0]) if activation is not None and curved else None
    source = None if call is None else call.layer.source
    return source if isinstance(source, RangeMixin) else None


def _maker(value: Value) -> Call | None:
    """What computes a value; an activation that is none does not."""
    call = value.producer
    while call is not None and call.layer.kind == "Activation" and call.layer.config["activation"] == "linear":
        call = call.inputs[0].producer
    return call


def _scores(model: Any, ends: Sequence[str]) -> Any:
    """A model of its own that gives each output before the softmax or sigmoid that it ends in."""
    graph = capture(model)
    for value, ending in zip(list(leaves(graph.outputs)), ends, strict=True):
        if ending in FLATTENING:
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
