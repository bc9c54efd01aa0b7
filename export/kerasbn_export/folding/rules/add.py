"""Rule 7: an affine and a sum.

    s*(x1 + x2) + t = (s*x1 + t) + s*x2          backward: scale every branch, shift one
    s*(x1 - x2) + t = (s*x1 + t) - s*x2
    s*mean(x1, x2) + t = mean(s*x1 + t, s*x2 + t)
    (x1 + t) + x2 = (x1 + x2) + t                 forward: a shift only
    (x1 + t) - x2 = (x1 - x2) + t,   x1 - (x2 + t) = (x1 - x2) - t,   mean(x1 + t, x2) = mean(x1, x2) + t/2
    (s*x1) * x2 = s*(x1*x2)                       product: a scale only, either way

Condition: backward, every branch takes its part (the engine asks); the branches have the output's rank and, along the
affine's axes, its size, so that nothing is broadcast; forward, ``s = 1`` for a sum and ``t = 0`` for a product.
"""

from __future__ import annotations

from dataclasses import replace

from kerasbn_export.algebra.affine import Affine
from kerasbn_export.folding.rules.step import Push, Refusal, Step
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph.model import Call, Graph, Value

SUMS = ("Add", "op.add", "op.add_n")
DIFFERENCES = ("Subtract", "op.subtract")
AVERAGES = ("Average",)
PRODUCTS = ("Multiply", "op.multiply")


def _concerns(call: Call) -> bool:
    """A sum or product of branches; with a constant in it, it is an affine of its own."""
    return call.layer.kind in (*SUMS, *DIFFERENCES, *AVERAGES, *PRODUCTS) and len(call.inputs) > 1


def backward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """Over the branches."""
    del graph
    if not _concerns(call):
        return None
    if any(is_broadcast(call, value, push) for value in call.inputs):
        return _broadcast(call)
    first, *others = call.inputs
    if call.layer.kind in PRODUCTS:
        if not push.affine.keeps_zero:
            return _only(call, "scale")
        return Step("sum", call, onward=(replace(push, value=first),))
    rest = push.affine if call.layer.kind in AVERAGES else push.affine.scaling
    return Step("sum", call, onward=(replace(push, value=first), *(Push(v, rest, push.axes) for v in others)))


def forward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """On the output."""
    del graph
    if not _concerns(call):
        return None
    if is_broadcast(call, push.value, push):
        return _broadcast(call)
    product = call.layer.kind in PRODUCTS
    times = [value is push.value for value in call.inputs]
    if product and (not push.affine.keeps_zero or sum(times) != 1):
        return _only(call, "scale")
    if not product and not push.affine.keeps_scale:
        return _only(call, "shift")
    shift = push.affine.shift * weight(call, times)
    return Step("sum", call, onward=(Push(call.output, Affine(push.affine.scale, shift), push.axes),))


def weight(call: Call, times: list[bool]) -> float:
    """How often the shift arrives at the output."""
    if call.layer.kind in DIFFERENCES:
        return float(times[0]) - float(times[1])
    return sum(times) / len(times) if call.layer.kind in AVERAGES else float(sum(times))


def is_broadcast(call: Call, value: Value, push: Push) -> bool:
    """Whether the branch is repeated along an axis of the affine, or its axes are counted otherwise."""
    shape, output = value.shape, call.output.shape
    if shape is None or output is None or len(shape) != len(output):
        return True
    return any(shape[axis] != output[axis] or shape[axis] is None for axis in push.axes)


def _only(call: Call, what: str) -> Refusal:
    return Refusal(Reason.NOT_AFFINE, f"{call.layer.kind} {call.layer.path!r} lets a {what} pass and nothing else.")


def _broadcast(call: Call) -> Refusal:
    return Refusal(Reason.SHAPE, f"{call.layer.kind} {call.layer.path!r} has branches of different or unknown shapes.")
