"""Rule 6: an affine and a concatenation.

    s*[x1, x2] + t = [s1*x1 + t1, s2*x2 + t2]        along the axis of the affine: split
    [s*x1 + t, x2] = (s, 1)*[x1, x2] + (t, 0)         collected: identity on the other branches
    s*[x1, x2] + t = [s*x1 + t, s*x2 + t]            along another axis: the same affine in each branch

Condition: the branches' sizes along the axis are known. Backward, every branch must take its part (the engine asks).
Forward along another axis than the affine's is refused, for the branches would differ.
"""

from __future__ import annotations

import numpy as np

from kerasbn_export.algebra.affine import Affine
from kerasbn_export.folding.rules.step import Push, Refusal, Step
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph.model import Call, Graph


def backward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """Split over the branches."""
    del graph
    if call.layer.kind != "Concatenate":
        return None
    axis = _axis(call)
    if push.axes != (axis,):
        if axis in push.axes:
            return _mixed(call)
        return Step("concatenate", call, onward=tuple(Push(v, push.affine, push.axes) for v in call.inputs))
    sizes = _sizes(call, axis)
    if sizes is None:
        return _unknown(call)
    cuts = np.cumsum(sizes)[:-1]
    parts = zip(np.split(push.affine.scale, cuts), np.split(push.affine.shift, cuts), call.inputs, strict=True)
    return Step("concatenate", call, onward=tuple(Push(v, Affine(s, t), push.axes) for s, t, v in parts))


def forward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """Collected on the output."""
    del graph
    if call.layer.kind != "Concatenate":
        return None
    axis = _axis(call)
    if push.axes != (axis,):
        return _mixed(call)
    sizes = _sizes(call, axis)
    if sizes is None:
        return _unknown(call)
    identity = [Affine(np.ones(size), np.zeros(size)) for size in sizes]
    parts = [push.affine if v is push.value else one for v, one in zip(call.inputs, identity, strict=True)]
    affine = Affine(np.concatenate([p.scale for p in parts]), np.concatenate([p.shift for p in parts]))
    return Step("concatenate", call, onward=(Push(call.output, affine, push.axes),))


def _axis(call: Call) -> int:
    return int(call.layer.config["axis"]) % (call.output.rank or 1)


def _sizes(call: Call, axis: int) -> list[int] | None:
    sizes = [None if value.shape is None else value.shape[axis] for value in call.inputs]
    known = [size for size in sizes if size is not None]
    return known if len(known) == len(sizes) else None


def _mixed(call: Call) -> Refusal:
    return Refusal(Reason.AXIS, f"Concatenate {call.layer.path!r} joins along another axis than the affine's.")


def _unknown(call: Call) -> Refusal:
    return Refusal(Reason.SHAPE, f"Concatenate {call.layer.path!r} joins branches of unknown size.")
