"""Rule 1, side by side: a sum of affines of one value is one affine.

    (a1*x + b1) + (a2*x + b2) = (a1 + a2)*x + (b1 + b2)        x + x/2 = 1.5*x

Condition: every branch is the value itself or constants of it, seen by nothing else; they run along the last axis, or
do the same to every channel; no mask is about, which a sum ends.
"""

from __future__ import annotations

import numpy as np

from kerasbn_export.affine import Affine
from kerasbn_export.batchnorm import is_batchnorm
from kerasbn_export.graph import Call, Graph, Layer, Value
from kerasbn_export.recognise import read
from kerasbn_export.rules.add import DIFFERENCES, SUMS
from kerasbn_export.rules.step import Push


def collapse_sums(graph: Graph) -> None:
    """Let every such sum be one Rescaling."""
    for call in graph.in_order():
        if call.layer.kind in (*SUMS, *DIFFERENCES) and len(call.inputs) > 1:
            _collapse(graph, call)
    graph.prune()


def _collapse(graph: Graph, call: Call) -> None:
    branches = [_branch(graph, call, value) for value in call.inputs]
    source = branches[0].value
    known = all(branch.value is source for branch in branches) and source.dtype == call.output.dtype
    if not known or source.rank != call.output.rank or any(v.masked for v in (source, *call.inputs, call.output)):
        return
    signs = [1.0, *[-1.0 if call.layer.kind in DIFFERENCES else 1.0] * (len(branches) - 1)]
    size = max(branch.affine.scale.size for branch in branches)
    if any(branch.affine.scale.size not in (1, size) or branch.axes != branches[0].axes for branch in branches):
        return
    scale = sum(
        (sign * np.broadcast_to(b.affine.scale, size) for sign, b in zip(signs, branches, strict=True)), np.zeros(size)
    )
    shift = sum(
        (sign * np.broadcast_to(b.affine.shift, size) for sign, b in zip(signs, branches, strict=True)), np.zeros(size)
    )
    graph.replace(call, rescaling(call.layer, Affine(scale, shift), call.output.dtype), source)


def rescaling(layer: Layer, affine: Affine, dtype: str) -> Layer:
    """A Rescaling in the place of another layer, of that one's name."""
    numbers = {"scale": affine.scale, "offset": affine.shift}
    plain = {name: float(array[0]) if affine.is_uniform else array.tolist() for name, array in numbers.items()}
    config = {"name": layer.name, **plain, "dtype": dtype}
    return Layer(layer.name, layer.path, "Rescaling", None, dtype, config, {})


def _branch(graph: Graph, call: Call, value: Value) -> Push:
    """What a branch is an affine of, along the last axis: of itself where it is nothing else."""
    last = ((value.rank or 0) - 1,)
    producer = value.producer
    if producer is not None and not is_batchnorm(producer.layer) and graph.users(value) == [call]:
        push = read(producer)
        if push is not None and not graph.is_output(value):
            if push.affine.is_uniform:
                return Push(push.value, Affine(push.affine.scale[:1], push.affine.shift[:1]), last)
            if push.axes == last:
                return push
    return Push(value, Affine(np.ones(1), np.zeros(1)), last)
