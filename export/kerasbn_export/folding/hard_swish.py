"""The one constant that is better left where it is: the 1/6 of a hard swish written out.

    hard_swish(x) = x * relu6(x + 3) * (1/6)

The converter makes one HARD_SWISH of the three operations (Howard et al. 2019, MobileNetV3, section 5.2). With the 1/6
in the weights behind, an ADD and a MUL would stay. It is written ``x * (relu6(x + 3) * (1/6))`` or
``(x * relu6(x + 3)) * (1/6)``.
"""

from __future__ import annotations

from kerasbn_export.folding.affine_calls import PRODUCTS, QUOTIENTS, SUMS
from kerasbn_export.folding.rules.fused import fused_activation
from kerasbn_export.graph.model import Call, Graph, Value
from kerasbn_export.graph.operations import Operation

FACTORS = ("Multiply", *PRODUCTS)


def scales_hard_swish(graph: Graph, call: Call) -> bool:
    """Whether the call, a product with a constant, is the factor of a hard swish in one of its two forms."""
    if call.layer.kind not in (*PRODUCTS, *QUOTIENTS):
        return False
    before = call.inputs[0].producer
    if before is not None and before.layer.kind in FACTORS:
        return any(_argument(value) in before.inputs for value in before.inputs)
    users = [user for user in graph.users(call.output) if user.layer.kind in FACTORS]
    return any(_argument(call.inputs[0]) in user.inputs for user in users)


def _argument(value: Value) -> Value | None:
    """The x of a value that is ``relu6(x + 3)``."""
    call = value.producer
    shift = call.inputs[0].producer if call is not None and fused_activation(call.layer) == "relu6" else None
    if shift is None or shift.layer.kind not in SUMS:
        return None
    return shift.inputs[0] if Operation(None, shift.args, shift.kwargs).constant == 3.0 else None
