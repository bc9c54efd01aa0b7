"""Rule 4, first part: layers that do nothing at inference let an affine pass.

    s*I(x) + t = I(s*x + t)   for I(x) = x

Condition: the layer is not called in training mode.
"""

from __future__ import annotations

from dataclasses import replace

from kerasbn_export.folding.rules.producer import has_no_activation
from kerasbn_export.folding.rules.step import Push, Refusal, Step, in_training, takes_only
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph.model import Call, Graph, Value

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
    return _pass(call, push, call.inputs[0]) if does_nothing(graph, call) else None


def forward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """On to the layer's output."""
    return _pass(call, push, call.output) if does_nothing(graph, call) and takes_only(call, push.value) else None


def does_nothing(graph: Graph, call: Call) -> bool:
    """Whether a layer gives what it takes at inference."""
    return call.layer.kind in KINDS or (call.layer.kind == "Activation" and has_no_activation(graph, call.layer))


def _pass(call: Call, push: Push, value: Value) -> Step | Refusal:
    if in_training(call):
        return Refusal(Reason.TRAINING, f"{call.layer.kind} {call.layer.path!r} is called in training mode.")
    return Step("pass", call, onward=(replace(push, value=value),))
