"""The form that recurrent layers have in a file.

A file keeps nothing from one run to the next: each starts from a fresh state, also of a layer that is ``stateful`` in
Keras. Dropout inside a cell is the identity.

In int8 and int16x8 a loop is unrolled where the number of its steps is known: the TFLite converter dies of loops whose
ranges it measures. The second route takes no loop at all, in any precision. Unrolled, T steps are T times the
operations of one, and each has ranges of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kerasbn.flavour import layers_inside
from kerasbn_export.capture import capture
from kerasbn_export.conversion.routes import LITERT, TENSORFLOW
from kerasbn_export.emit.emit import emit
from kerasbn_export.graph.model import Call, Graph, Layer
from kerasbn_export.graph.recurrent_layers import at_inference, is_recurrent, is_stateful, with_options
from kerasbn_export.precision import CALIBRATED

MEASURED = "the TFLite converter dies of most loops whose ranges it measures"
NO_LOOP = "litert-converter takes no loop"


@dataclass(frozen=True)
class RecurrentForm:
    """A model with its recurrent layers as a file can have them.

    Attributes:
        model: The model.
        notes: What was done with the layers, in sentences.
        loops: The layers that stay a loop, each with the reason.
    """

    model: Any
    notes: tuple[str, ...] = ()
    loops: tuple[str, ...] = ()


def for_file(model: Any, precision: str, route: str = TENSORFLOW) -> RecurrentForm:
    """The same model in the form that a file of some precision needs; it is made anew only where a layer changes.

    Args:
        model: A functional model of either Keras, as it would be converted.
        precision: That of the file.
        route: Whose converter makes it.
    """
    why = NO_LOOP if route == LITERT else MEASURED if precision in CALIBRATED else ""
    graph = capture(model)
    calls: dict[Layer, list[Call]] = {}
    for call in graph.in_order():
        if is_recurrent(call.layer):
            calls.setdefault(call.layer, []).append(call)
    steps = {layer: _steps(layer, its) if why else 0 for layer, its in calls.items()}
    made = {layer: _settled(layer, unroll=bool(steps[layer])) for layer in calls}
    for layer, its in calls.items():
        for call in its:
            call.layer = made[layer]
    changed = any(new is not layer for layer, new in made.items())
    loops = [*_loops(made), *(_named(call.layer) for call in graph.in_order() if _holds_unknown_loop(graph, call))]
    return RecurrentForm(
        emit(graph) if changed else model, tuple(_notes(made, steps, why)), tuple(dict.fromkeys(loops))
    )


def _holds_unknown_loop(graph: Graph, call: Call) -> bool:
    """Whether a layer of the user's own is a recurrent one, or holds one."""
    if call.layer.kind is not None or call.layer.source is None:
        return False
    layers = (call.layer.source, *layers_inside(call.layer.source))
    return any(isinstance(layer, graph.flavour.keras.layers.RNN) for layer in layers)


def _settled(layer: Layer, *, unroll: bool) -> Layer:
    return with_options(at_inference(layer), {"unroll": True} if unroll else {})


def _steps(layer: Layer, calls: Sequence[Call]) -> int:
    """How many steps a layer takes, the most of several calls; 0 where that is open."""
    axis = 0 if layer.config.get("time_major") else 2 if layer.kind == "TimeDistributed" else 1
    sizes = [call.inputs[0].shape[axis] if call.inputs[0].shape else None for call in calls]
    return 0 if None in sizes else max(size or 0 for size in sizes)


def _notes(made: Mapping[Layer, Layer], steps: Mapping[Layer, int], why: str) -> Iterator[str]:
    stateful = [_named(layer) for layer in made if is_stateful(layer)]
    if stateful:
        yield f"Stateful in Keras, but every run of the file starts from zeros: {', '.join(stateful)}."
    unrolled = [layer for layer, new in made.items() if steps[layer] and _is_loop(layer) and not _is_loop(new)]
    if unrolled:
        named = ", ".join(f"{_named(layer)} ({steps[layer]} steps)" for layer in unrolled)
        yield f"Unrolled, since {why}: {named}."


def _loops(made: Mapping[Layer, Layer]) -> list[str]:
    return [_named(layer) for layer, new in made.items() if _is_loop(new)]


def _is_loop(layer: Layer) -> bool:
    return with_options(layer, {"unroll": True}) is not layer


def _named(layer: Layer) -> str:
    return f"{layer.kind or type(layer.source).__name__} {layer.path!r}"
