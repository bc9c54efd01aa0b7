"""Rule 14, its last resort: a ReLU that can be fused nowhere gets an operation that fuses it.

    relu(x) = relu(max of x alone),   relu(x) = relu(1*x + 0)

In int8, XNNPACK has no operation for a ReLU that stands alone: it cuts the graph in two and runs it with the built-in
kernel. With the same ReLU fused into it, a max pooling of 1x1 took 0.05 to 0.39 of the time and a depthwise 1x1 0.07 to
0.40 (behind a convolution with other users, a transposed one, a bilinear resize, an input); in float32 both took 1.01,
so only int8 asks for them.

A pooling has the scale of its input, so it rounds nothing, where the ReLU itself and the depthwise bring the numbers to
a scale of their own: 0 to 0.6 dB more. What averages by pooling has the scale of its input as well, and that is twice
as fine behind a depthwise, 0.5 to 3.5 dB: a ReLU that an average pooling takes gets the depthwise. Its kernel is one
for every channel, which int8 holds exactly.

Condition: a ReLU or ReLU6 on a value of rank 4 without a mask that stays alone after
`kerasbn_export.folding.passes.activation` has moved all that it can; for the depthwise a known number of channels, more
than one (on one it took 1.0 of the ReLU's time, the pooling 0.8).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kerasbn_export.algebra.affine import Affine
from kerasbn_export.folding.passes.activation import fuses
from kerasbn_export.folding.passes.lower import depthwise
from kerasbn_export.folding.rules.fused import is_fused
from kerasbn_export.graph.model import Call, Graph, Layer, Value

POOLING = {"pool_size": [1, 1], "strides": [1, 1], "padding": "valid", "data_format": "channels_last"}
AVERAGING = ("AveragePooling2D",)


def accompany(graph: Graph) -> None:
    """Give every ReLU that stands alone an operation before it that fuses it."""
    for call in graph.in_order():
        if is_fused(call.layer) and not fuses(graph, call.inputs[0]):
            _accompany(graph, call, call.inputs[0])


def _accompany(graph: Graph, call: Call, value: Value) -> None:
    if value.rank != 4 or value.masked:
        return
    companion = _depthwise(graph, call, value) or _pooling(call.layer, value)
    result = Value(value.shape, value.dtype)
    graph.add(Call(companion, (value,), {}, [result]))
    graph.replace(call, call.layer, result)


def _pooling(relu: Layer, value: Value) -> Layer:
    like = _like(relu, value, "pool")
    config = {**POOLING, "name": like.name, "dtype": like.dtype}
    return Layer(like.name, like.path, "MaxPooling2D", None, like.dtype, config, {})


def _depthwise(graph: Graph, call: Call, value: Value) -> Layer | None:
    channels = (value.shape or (None,))[-1]
    if channels in (None, 1) or not any(user.layer.kind in AVERAGING for user in graph.users(call.output)):
        return None
    identity = Affine(np.ones(channels), np.zeros(channels))
    return depthwise(graph, _like(call.layer, value, "depthwise"), identity)


def _like(relu: Layer, value: Value, kind: str) -> Layer:
    """What another layer in the ReLU's place is called, and computes in."""
    name, path = (f"{own}_{kind}" for own in (relu.name, relu.path))
    return replace(relu, name=name, path=path, dtype=value.dtype, new_config={"dtype": value.dtype})
