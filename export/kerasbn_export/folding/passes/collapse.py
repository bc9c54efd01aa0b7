"""Rule 1, side by side: a sum of affines of one value is one affine.

    (a1*x + b1) + (a2*x + b2) = (a1 + a2)*x + (b1 + b2)        x + x/2 = 1.5*x

Condition: every branch is the value itself or constants of it, along the last axis or the same for every channel; none
is an output of the model, whose name would be lost; no mask is about, which a sum ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasbn_export.algebra.affine import Affine, Float64
from kerasbn_export.folding.affine_calls import read
from kerasbn_export.folding.rules.add import DIFFERENCES, SUMS
from kerasbn_export.folding.rules.step import Push
from kerasbn_export.graph.batchnorm import is_batchnorm
from kerasbn_export.graph.model import Call, Graph, Layer, Value


def collapse_sums(graph: Graph) -> None:
    """Let every such sum be one Rescaling."""
    for call in graph.in_order():
        if call.layer.kind in (*SUMS, *DIFFERENCES) and len(call.inputs) > 1:
            _collapse(graph, call)
    graph.prune()


def _collapse(graph: Graph, call: Call) -> None:
    branches = [_branch(graph, value) for value in call.inputs]
    source = branches[0].value
    known = all(branch.value is source for branch in branches) and source.dtype == call.output.dtype
    if not known or any(value.masked for value in (source, *call.inputs, call.output)):
        return
    signs = [1.0, *[-1.0 if call.layer.kind in DIFFERENCES else 1.0] * (len(branches) - 1)]
    scale, shift = (
        _combined(signs, [b.affine.scale for b in branches]),
        _combined(signs, [b.affine.shift for b in branches]),
    )
    graph.replace(call, rescaling(call.layer, Affine(scale, shift), call.output.dtype), source)


def _combined(signs: Sequence[float], numbers: Sequence[Float64]) -> Float64:
    """Their sum, each with its sign; one number stands for as many as the others have."""
    size = max(array.size for array in numbers)
    return sum((sign * np.broadcast_to(n, size) for sign, n in zip(signs, numbers, strict=True)), np.zeros(size))


def rescaling(layer: Layer, affine: Affine, dtype: str) -> Layer:
    """A Rescaling in the place of another layer, of that one's name."""
    numbers = {"scale": affine.scale, "offset": affine.shift}
    plain = {name: float(array[0]) if affine.is_uniform else array.tolist() for name, array in numbers.items()}
    config = {"name": layer.name, **plain, "dtype": dtype}
    return Layer(layer.name, layer.path, "Rescaling", None, dtype, config, {})


def _branch(graph: Graph, value: Value) -> Push:
    """What a branch is an affine of, along the last axis: of itself where it is nothing else."""
    last = ((value.rank or 0) - 1,)
    producer = value.producer
    if producer is not None and not is_batchnorm(producer.layer) and not graph.is_output(value):
        push = read(producer)
        if push is not None and push.axes == last:
            return push
    return Push(value, Affine(np.ones(1), np.zeros(1)), last)
