"""Rule 4, first part: layers that do nothing at inference let an affine pass.

    s*I(x) + t = I(s*x + t)   for I(x) = x

Condition: the layer is not called in training mode.
"""

from __future__ import annotations

from dataclasses import replace

from kerasbn_export.graph import Call, Graph, Value
from kerasbn_export.rules.producer import has_no_activation
from kerasbn_export.rules.step import Push, Refusal, Step
from kerasbn_export.verdict import Reason

KINDS = (
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
)


def backward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """On to the layer's input."""
    linear_activation = call.layer.kind == "Activation" and has_no_activation(graph, call.layer)
    if call.layer.kind not in KINDS and not linear_activation:
        return None
    flag = call.kwargs.get("training", call.args[1] if len(call.args) > 1 else None)
    if flag is True or isinstance(flag, Value):
        return Refusal(Reason.TRAINING, f"{call.layer.kind} {call.layer.path!r} before it is called in training mode.")
    return Step("pass", call, onward=(replace(push, value=call.inputs[0]),))
