"""Rules 6 and 7 where an affine arrives at every branch: what one branch alone could not let pass.

    (s*x1 + t1) + (s*x2 + t2) = s*(x1 + x2) + (t1 + t2)          one scale, any shifts
    (s*x1 + t1) - (s*x2 + t2) = s*(x1 - x2) + (t1 - t2)
    mean(s*x1 + t1, s*x2 + t2) = s*mean(x1, x2) + (t1 + t2)/2
    [s*x1 + t, s*x2 + t] = s*[x1, x2] + t                        along another axis than the affine's

Condition: every value that is joined has its affine, along the same axes and of the same sizes; the scales are equal,
and for a concatenation the shifts too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasbn_export.algebra.affine import Affine
from kerasbn_export.folding.rules import add
from kerasbn_export.folding.rules.step import Push, Step
from kerasbn_export.graph.model import Call

SUMMING = (*add.SUMS, *add.DIFFERENCES, *add.AVERAGES)


def joins(call: Call) -> bool:
    """Whether the call is of a layer at which affines may meet."""
    return call.layer.kind in (*SUMMING, "Concatenate") and len(call.inputs) > 1


def join(call: Call, pushes: Sequence[Push]) -> Step | None:
    """The one affine on the output; None where the condition does not hold."""
    by_value = {push.value: push for push in pushes}
    if len(by_value) < len(pushes) or any(value not in by_value for value in call.inputs):
        return None
    branches = [by_value[value] for value in call.inputs]
    first = branches[0]
    if any(b.axes != first.axes or not np.array_equal(b.affine.scale, first.affine.scale) for b in branches):
        return None
    if call.layer.kind == "Concatenate":
        return _along_another_axis(call, branches)
    weights = [add.weight(call, [other is branch for other in branches]) for branch in _distinct(branches)]
    shift = sum((w * b.affine.shift for w, b in zip(weights, _distinct(branches), strict=True)), 0 * first.affine.shift)
    return Step("sum", call, onward=(Push(call.output, Affine(first.affine.scale, shift), first.axes),))


def _distinct(branches: Sequence[Push]) -> list[Push]:
    return list({id(branch): branch for branch in branches}.values())


def _along_another_axis(call: Call, branches: Sequence[Push]) -> Step | None:
    first = branches[0]
    axis = int(call.layer.config["axis"]) % (call.output.rank or 1)
    if axis in first.axes or any(not np.array_equal(b.affine.shift, first.affine.shift) for b in branches):
        return None
    return Step("concatenate", call, onward=(Push(call.output, first.affine, first.axes),))
