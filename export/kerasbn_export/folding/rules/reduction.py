"""Rules 4 and 5 for functions that reduce axes: means, sums and maxima over any axes but the affine's.

    mean(s*x + t) = s*mean(x) + t
    sum(s*x + t)  = s*sum(x) + n*t         n: how many elements are summed
    max(s*x + t)  = s*max(x) + t           for s >= 0, and min likewise

Condition: the affine runs along none of the axes; the batch is none of them; n is known, or ``t = 0``.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from kerasbn_export.algebra.affine import Affine
from kerasbn_export.folding.rules.spatial import keeps_order, negative
from kerasbn_export.folding.rules.step import Push, Refusal, Step
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph.model import Call, Graph, Value
from kerasbn_export.graph.operations import Operation

MEANS = ("op.mean",)
SUMS = ("op.sum",)
EXTREMES = ("op.max", "op.min")


def backward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """On to the function's input."""
    if not _concerns(call) or (call.layer.kind in MEANS and not graph.passes_averages):
        return None
    reduced = _reduced(call)
    if reduced is None:
        return _unknown(call)
    kept = [axis for axis in range(call.inputs[0].rank or 0) if axis not in reduced]
    origin = range(call.inputs[0].rank or 0) if _keeps_axes(call) else kept
    axes = tuple(origin[axis] for axis in push.axes)
    return _passed(call, push, call.inputs[0], axes, reduced, forward_way=False)


def forward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """On to the function's output."""
    del graph
    if not _concerns(call):
        return None
    reduced = _reduced(call)
    if reduced is None:
        return _unknown(call)
    if set(push.axes) & set(reduced):
        return _mixed(call)
    gone = () if _keeps_axes(call) else reduced
    axes = tuple(axis - sum(other < axis for other in gone) for axis in push.axes)
    return _passed(call, push, call.output, axes, reduced, forward_way=True)


def _concerns(call: Call) -> bool:
    return call.layer.kind in (*MEANS, *SUMS, *EXTREMES) and len(call.inputs) == 1


def _passed(
    call: Call, push: Push, target: Value, axes: tuple[int, ...], reduced: tuple[int, ...], *, forward_way: bool
) -> Step | Refusal:
    if set(axes if not forward_way else ()) & set(reduced):
        return _mixed(call)
    affine, kind = push.affine, call.layer.kind
    if kind in EXTREMES and not keeps_order(push):
        return negative(call.layer)
    if kind in SUMS and not affine.keeps_zero:
        sizes = [(call.inputs[0].shape or ())[axis] for axis in reduced]
        known = [size for size in sizes if size is not None]
        if len(known) < len(sizes):
            return _unknown(call)
        affine = Affine(affine.scale, affine.shift * prod(known) if forward_way else affine.shift / prod(known))
    return Step("commute", call, onward=(replace(push, value=target, affine=affine, axes=axes),))


def _reduced(call: Call) -> tuple[int, ...] | None:
    """The axes that go, counted from the front; None if they are not known or the batch is among them."""
    axis, rank = _option(call).option(1, "axis"), call.inputs[0].rank
    if axis is None or rank is None or rank < 2 or _option(call).option(99, "initial") is not None:
        return None
    given = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    reduced = tuple(sorted(int(each) % rank for each in given))
    return None if 0 in reduced else reduced


def _keeps_axes(call: Call) -> bool:
    return bool(_option(call).option(2, "keepdims", default=False))


def _option(call: Call) -> Operation:
    return Operation(call.layer.source, call.args, call.kwargs)


def _mixed(call: Call) -> Refusal:
    return Refusal(Reason.AXIS, f"{call.layer.kind} {call.layer.path!r} reduces the axis that the affine runs along.")


def _unknown(call: Call) -> Refusal:
    return Refusal(Reason.SHAPE, f"{call.layer.kind} {call.layer.path!r} reduces axes that are not known, or all.")
