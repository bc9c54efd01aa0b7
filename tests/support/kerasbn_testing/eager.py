"""What a graph computes, call by call on numbers: to build a symbolic model takes most of the time of `emit`."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kerasbn_export.emit.layer import build_layer, retyped_arguments, set_weights
from kerasbn_export.graph.model import Call, Graph, Layer, Value
from kerasbn_export.graph.structure import leaves, map_leaves
from kerasbn_testing.judging import flat
from kerasbn_testing.statistics import restart_layer


def evaluate(graph: Graph, data: Any, dtype: str | None = None) -> list[Any]:
    """The outputs of a graph on data in the structure of its inputs, flat."""
    tensors = dict(zip(leaves(graph.inputs), map(tf.convert_to_tensor, leaves(data)), strict=True))
    built: dict[Layer, Any] = {}
    for call in graph.in_order():
        if call.layer.kind != "InputLayer":
            _compute(graph, call, tensors, built, dtype)
    return [array for leaf in leaves(graph.outputs) for array in flat(tensors[leaf])]


def _compute(graph: Graph, call: Call, tensors: dict[Value, Any], built: dict[Layer, Any], dtype: str | None) -> None:
    layer = call.layer
    args, kwargs = retyped_arguments((call.args, call.kwargs), dtype)
    args, kwargs = map_leaves(lambda leaf: tensors[leaf] if isinstance(leaf, Value) else leaf, (args, kwargs))
    if layer not in built:
        target = built[layer] = build_layer(graph.flavour, layer, f"eager_{len(built)}", dtype)
        if getattr(layer.source, "weights", None) or layer.weights:
            target(*args, **kwargs)  # builds it
            set_weights(layer, target)
            restart_layer(target)
    outputs = list(leaves(built[layer](*args, **kwargs)))
    for value, tensor in zip(call.outputs, outputs, strict=True):
        tensors[value] = tensor
