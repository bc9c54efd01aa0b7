"""Rule 14, before it: ReLUs of one value that compute the same become one call.

    f(x), f(x)  =  y, y    with  y = f(x)

NASNet calls a ReLU of its own in every branch of a cell. TensorFlow's optimizer makes them one before it fuses, so a
value that only such ReLUs take has one user, not several, and what gives it can fuse the one. A rule that counted them
as several would give each of them an operation that nothing needs.

Condition: both are the same of ReLU and ReLU6, in one precision, and either both carry a mask on or neither does; the
later one is no output of the model, whose name would be lost.
"""

from __future__ import annotations

from kerasbn_export.folding.rules.fused import fused_activation
from kerasbn_export.graph.model import Call, Graph


def unite_twins(graph: Graph) -> None:
    """Let every ReLU that an earlier call computes too be that call."""
    known: dict[object, Call] = {}
    for call in graph.in_order():
        function = fused_activation(call.layer)
        if function is None or graph.is_output(call.output):
            continue
        value = call.output
        twin = known.setdefault((call.inputs[0], function, value.dtype, value.masked), call)
        if twin is not call:
            graph.bypass(call, twin.output)
