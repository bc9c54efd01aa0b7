"""Rule 14: an activation that no operation can fuse moves to where one can.

A ReLU behind a convolution, a Dense, a sum or a pooling becomes part of it in TFLite; behind a concatenation or a crop
it is an operation of its own, which costs tens of times as much in int8. An elementwise f commutes with whatever
only selects and joins elements:

    f([x1, x2]) = [f(x1), f(x2)],   f(crop(x)) = crop(f(x)),   f(pad(x)) = pad(f(x))  for f(0) = 0

Condition: f is a ReLU or a ReLU6, no mask is about, which a function would end; nothing else sees the values that
change; every place it arrives at can fuse it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kerasbn_export.algebra.linear import CONVOLUTIONS, DEPTHWISE, LINEAR, SEPARABLE, TRANSPOSED
from kerasbn_export.folding.rules import add, identity, moves, spatial
from kerasbn_export.folding.rules.fused import is_fused
from kerasbn_export.folding.rules.time_distributed import MERGE, SPLIT
from kerasbn_export.graph.model import Call, Graph, Layer, Value

FUSING = (
    *("Dense", *CONVOLUTIONS[:2], *DEPTHWISE, *SEPARABLE),
    *(*add.SUMS, *add.DIFFERENCES, *add.PRODUCTS, *add.AVERAGES),
    *("AveragePooling1D", "AveragePooling2D", "MaxPooling1D", "MaxPooling2D", "BatchNormalization", "Rescaling"),
)
"""What the converter gives a fused activation; a Conv3D gets none."""

WITH_BIAS = TRANSPOSED[:2]
"""What it gives one together with a bias: a bias of zeros it drops, and the activation then stays alone."""

SELECTING = (
    *("Concatenate", "Permute", "RepeatVector", "Reshape", "Flatten", MERGE, SPLIT, *identity.KINDS),
    *("Cropping1D", "Cropping2D", "Cropping3D", *spatial.PADDINGS),
)
NEAREST = ("UpSampling1D", "UpSampling2D", "UpSampling3D")


def place_activations(graph: Graph) -> None:
    """Move every ReLU that stands alone to where it is fused."""
    for call in graph.in_order():
        if is_fused(call.layer) and not _is_settled(graph, call.inputs[0]):
            places = _places(graph, call.inputs[0])
            if places:
                _move(graph, call, places)


def _is_settled(graph: Graph, value: Value) -> bool:
    """Whether a ReLU of the value stays where it is."""
    return value.masked or fuses(graph, value)


def fuses(graph: Graph, value: Value) -> bool:
    """Whether the operation that gives the value can take an activation in."""
    call = value.producer
    if call is None or graph.sole_user(value) is None:
        return False
    kind = call.layer.kind
    if kind in WITH_BIAS:
        return bool(np.any(call.layer.weights.get("bias", 0))) and call.layer.config["activation"] == "linear"
    if kind in LINEAR:
        return kind in FUSING and call.layer.config["activation"] == "linear"
    return kind in FUSING


def _places(graph: Graph, value: Value) -> list[Value] | None:
    """The values to which the activation moves; None if one of them cannot fuse it."""
    pending, places = [value], []
    while pending:
        value = pending.pop()
        call = value.producer
        if call is None or graph.sole_user(value) is None:
            return None
        if fuses(graph, value):
            places.append(value)
        elif _selects(call):
            pending.extend(call.inputs)
        else:
            return None
    return places


def _selects(call: Call) -> bool:
    if call.layer.kind in NEAREST:
        return bool(call.layer.config.get("interpolation", "nearest") == "nearest")
    return call.layer.kind in SELECTING or (moves.only_moves(call) and call.layer.kind != "op.pad")


def _move(graph: Graph, call: Call, places: list[Value]) -> None:
    for number, value in enumerate(places):
        layer = call.layer.as_stock
        graph.insert_after(value, layer if number == 0 else _twin(layer, number))
    graph.bypass(call)


def _twin(layer: Layer, number: int) -> Layer:
    return replace(layer, name=f"{layer.name}_{number}")
