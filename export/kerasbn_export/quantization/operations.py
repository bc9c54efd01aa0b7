"""A folded graph spelled so that each call is one operation of a quantized file.

=================================  ==================================================================
call                               becomes
=================================  ==================================================================
``f(conv(x))``, f not fused        conv, then f as a layer of its own
``swish(x)``                       ``x * sigmoid(x)``
SeparableConv                      DepthwiseConv, then Conv 1x1
sum or product of n > 2            n - 1 of two
average of n                       their sum, then ``/ n``
``s*x + t``                        ``s*x``, then ``+ t``, where neither is trivial
=================================  ==================================================================

All of it is exact in real numbers, up to the order of sums.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from kerasbn.quantized.kernels import LINEAR
from kerasbn_export.algebra.linear import SEPARABLE
from kerasbn_export.folding.affine_calls import computes_affine, read
from kerasbn_export.folding.passes.activation import WITH_BIAS
from kerasbn_export.folding.passes.collapse import rescaling
from kerasbn_export.folding.rules.fused import FUSED
from kerasbn_export.folding.rules.step import stock_activation
from kerasbn_export.graph.batchnorm import is_batchnorm
from kerasbn_export.graph.model import Call, Graph, Layer, Value, new_layer

SWISH = ("swish", "silu", "op.silu", "op.swish")
CHAINED = ("Add", "Multiply")


def spell_out(graph: Graph, kept: frozenset[str] = frozenset()) -> None:
    """Rewrites the graph in place.

    Args:
        graph: A folded graph.
        kept: The paths of layers that stay as they are: live BatchNorms, and what is not quantized.
    """
    for split in (_split_separable, _split_activation, _split_swish, _split_sum, _split_affine):
        for call in graph.in_order():
            if call.layer.path not in kept:
                split(graph, call)


def _split_activation(graph: Graph, call: Call) -> None:
    alone = call.layer.kind in WITH_BIAS and not np.any(call.layer.weights.get("bias", 0))  # fuses nothing
    if call.layer.kind not in LINEAR or stock_activation(call.layer) in ("linear", None, *(() if alone else FUSED)):
        return
    activation = {"activation": call.layer.config["activation"], "dtype": call.layer.dtype}
    call.layer = call.layer.with_weights(call.layer.weights, activation="linear")
    graph.insert_after(call.output, new_layer("Activation", f"{call.layer.name}_activation", activation))


def _split_swish(graph: Graph, call: Call) -> None:
    if call.layer.kind not in SWISH and (call.layer.kind != "Activation" or stock_activation(call.layer) not in SWISH):
        return
    value = call.inputs[0]
    sigmoid = _call(graph, new_layer("Activation", f"{call.layer.name}_sigmoid", {"activation": "sigmoid"}), value)
    graph.replace(call, new_layer("Multiply", call.layer.name, {}), [value, sigmoid])


def _split_separable(graph: Graph, call: Call) -> None:
    if call.layer.kind not in SEPARABLE:
        return
    layer, rank = call.layer, call.layer.kind[-2:]
    config, weights, one = layer.config, layer.weights, [1] * int(rank[0])
    shared = {"data_format": config["data_format"], "dtype": layer.dtype}
    spatial = {
        name: config[name] for name in ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier")
    }
    kernel = "kernel" if graph.flavour.name == "keras" else "depthwise_kernel"
    depthwise = new_layer(
        f"DepthwiseConv{rank}", f"{layer.name}_depthwise", {**shared, **spatial, "use_bias": False},
        {kernel: weights["depthwise_kernel"]},
    )  # fmt: skip
    own = {"filters": config["filters"], "use_bias": config["use_bias"], "activation": config["activation"]}
    rest = {"kernel": weights["pointwise_kernel"], **({"bias": weights["bias"]} if config["use_bias"] else {})}
    pointwise = new_layer(f"Conv{rank}", layer.name, {**shared, **own, "kernel_size": one}, rest)
    middle = _call(graph, depthwise, call.inputs[0], shape=(*(call.output.shape or ())[:-1], None))
    graph.replace(call, pointwise, middle)


def spell_averages(graph: Graph) -> None:
    """Writes every average as a sum and a part of it, in place: folding then finds a place for the part."""
    for call in graph.in_order():
        if call.layer.kind == "Average":
            part = {"scale": 1.0 / len(call.inputs), "offset": 0.0}
            graph.insert_after(call.output, new_layer("Rescaling", f"{call.layer.name}_part", part))
            graph.replace(call, new_layer("Add", call.layer.name, {}), list(call.inputs))


def _split_sum(graph: Graph, call: Call) -> None:
    kind, inputs = str(call.layer.kind), call.inputs
    if kind not in CHAINED or len(inputs) < 3:
        return
    *first, last = inputs
    total = first[0]
    for number, value in enumerate(first[1:]):
        total = _call(graph, new_layer(kind, f"{call.layer.name}_{number}", {}), [total, value], call.output.shape)
    graph.replace(call, new_layer(kind, call.layer.name, {}), [total, last])


def _split_affine(graph: Graph, call: Call) -> None:
    """Only what folding left: along the last axis, where both halves do something."""
    push = read(call) if computes_affine(call) else None
    if push is None or push.axes != ((call.output.rank or 0) - 1,):
        return
    if push.affine.keeps_scale or push.affine.keeps_zero:
        if is_batchnorm(call.layer):
            graph.replace(call, rescaling(call.layer, push.affine, call.layer.dtype), call.inputs[0])
        return
    shift = replace(rescaling(call.layer, push.affine.shifting, call.layer.dtype), name=f"{call.layer.name}_shift")
    shift.new_config = {**shift.config, "name": shift.name}
    graph.replace(call, rescaling(call.layer, push.affine.scaling, call.layer.dtype), call.inputs[0])
    graph.insert_after(call.output, shift)


def _call(graph: Graph, layer: Layer, given: Any, shape: Any = None) -> Value:
    first = given if isinstance(given, Value) else given[0]
    value = Value(shape or first.shape, first.dtype)
    graph.add(Call(layer, (given,), {}, [value]))
    return value
