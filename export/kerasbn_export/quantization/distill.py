"""A tuned model that learns from the float model; see `kerasbn.quantized.distillation`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kerasbn.flavour import flavour_of
from kerasbn.quantized.classes import DISTILLED, layers_of
from kerasbn.quantized.ranges import RangeMixin
from kerasbn_export.capture import capture
from kerasbn_export.emit.emit import emit
from kerasbn_export.folding.rules.producer import maker
from kerasbn_export.graph.model import Call, Graph, Value, substitute
from kerasbn_export.graph.structure import leaves

FLATTENING = ("softmax", "sigmoid")
"""Activations behind which differences hide."""


def distilled(tuned: Any, teacher: Any) -> Any:
    """The tuned model as one that learns from the teacher."""
    student = layers_of(flavour_of(tuned))[DISTILLED](tuned.inputs, tuned.outputs, name=tuned.name)
    graph, ends = capture(student), endings(teacher)
    taps = [_tap(graph, value, ending) for value, ending in zip(leaves(graph.outputs), ends, strict=True)]
    known = [ending if tap else "" for tap, ending in zip(taps, ends, strict=True)]
    student.teach(_scores(teacher, known), tuple(taps), tuple(known))
    return student


def endings(model: Any) -> tuple[str, ...]:
    """The activation that each output of a model ends in; empty for none that is known."""
    graph = capture(model)
    return tuple(_ending(graph, value) for value in leaves(graph.outputs))


def _ending(graph: Graph, value: Value) -> str:
    call = maker(graph, value)
    if call is None or call.layer.kind is None:
        return ""
    return str(call.layer.config.get("activation", str(call.layer.kind).lower()))


def _tap(graph: Graph, value: Value, ending: str) -> RangeMixin | None:
    """The range of an output's scores: its own, or the one before a softmax or sigmoid; None where it has none.

    A range at the end lets everything pass in training, and has no numbers to compare.
    """
    call = maker(graph, value)
    source = _range_of(call)
    if call is None or source is None or ending not in FLATTENING:
        return None if source is None or source.at_end else source
    activation = maker(graph, call.inputs[0])
    if activation is None or activation.layer.kind not in ("Activation", "Softmax"):
        return None
    return _range_of(maker(graph, activation.inputs[0]))


def _range_of(call: Call | None) -> RangeMixin | None:
    source = None if call is None else call.layer.source
    return source if isinstance(source, RangeMixin) else None


def _scores(model: Any, ends: Sequence[str]) -> Any:
    """A model of its own that gives each output before the softmax or sigmoid that it ends in."""
    graph = capture(model)
    for value, ending in zip(list(leaves(graph.outputs)), ends, strict=True):
        call = maker(graph, value)
        if ending in FLATTENING and call is not None:
            _without_ending(graph, value, call)
    return emit(graph)


def _without_ending(graph: Graph, value: Value, call: Call) -> None:
    if call.layer.kind in ("Activation", "Softmax"):
        graph.outputs = substitute(graph.outputs, value, call.inputs[0])
    else:
        call.layer = call.layer.with_weights(call.layer.weights, activation="linear")
