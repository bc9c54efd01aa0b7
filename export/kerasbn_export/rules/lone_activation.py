"""Rule 14, its last resort: a ReLU that can be fused nowhere gets an operation that fuses it.

    relu(x) = relu(1*x + 0),  the inner affine being a depthwise 1x1

In int8, XNNPACK has no operation for a ReLU that stands alone: it cuts the graph in two and runs it with the built-in
kernel. A depthwise 1x1 with the same ReLU fused into it took 0.13 to 0.35 of the time (behind a transposed convolution,
a bilinear resize, an input, and a value that has other users too); in float32 it took 1.02 to 1.27, so only int8 asks
for it. The kernel is one for every channel, which int8 holds exactly.

Condition: a ReLU or ReLU6 on a value of rank 4 with a known number of channels, more than one (on one the depthwise
took 1.2), and no mask, which stays alone after `kerasbn_export.rules.activation` has moved all that it can.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kerasbn_export.affine import Affine
from kerasbn_export.graph import Call, Graph, Value
from kerasbn_export.lower import depthwise
from kerasbn_export.rules.activation import fuses, is_fused


def accompany(graph: Graph) -> None:
    """Give every ReLU that stands alone a depthwise 1x1 before it."""
    for call in graph.in_order():
        if is_fused(call.layer) and not fuses(graph, call.inputs[0]):
            _accompany(graph, call, call.inputs[0])


def _accompany(graph: Graph, call: Call, value: Value) -> None:
    channels = (value.shape or (None,))[-1]
    if value.rank != 4 or channels in (None, 1) or value.masked:
        return
    identity = Affine(np.ones(channels), np.zeros(channels))
    name, path = (f"{own}_depthwise" for own in (call.layer.name, call.layer.path))
    like = replace(call.layer, name=name, path=path, dtype=value.dtype, new_config={"dtype": value.dtype})
    result = Value(value.shape, value.dtype)
    graph.add(Call(depthwise(graph, like, identity), (value,), {}, [result]))
    graph.replace(call, call.layer, result)
