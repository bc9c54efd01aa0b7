"""Rule 4 through the two reshapes of `kerasbn_export.folding.passes.unroll_time`.

``merge`` makes (batch, T, ...) to (batch*T, ...) and ``split`` undoes it. An affine passes both along every axis but
batch and time.
"""

from __future__ import annotations

from kerasbn_export.folding.rules.step import Push, Refusal, Step
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph.model import Call, Graph, Value

MERGE, SPLIT = "MergeTime", "SplitTime"


def backward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """Through merge and split, from output to input."""
    del graph
    return _passed(call, push, call.inputs[0]) if call.layer.kind in (MERGE, SPLIT) else None


def forward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """Through merge and split, from input to output."""
    del graph
    return _passed(call, push, call.output) if call.layer.kind in (MERGE, SPLIT) else None


def _passed(call: Call, push: Push, target: Value) -> Step | Refusal:
    by = (target.rank or 0) - (push.value.rank or 0)
    if by < 0 and 1 in push.axes:
        return Refusal(Reason.AXIS, f"{call.layer.path!r} merges the axis that the affine runs along with the batch.")
    return Step("time", call, onward=(Push(target, push.affine, tuple(axis + by for axis in push.axes)),))
