"""Rule 8: positively homogeneous activations let a scale pass.

    f(s*x) = s*f(x)   for s >= 0 and f = ReLU, LeakyReLU, PReLU

so that ``f(s*x + t) = s*f(x + t/s)``: one ADD with a fused activation stays where MUL + ADD were.

Condition: t = 0, s >= 0 in every channel, and the ReLU has no upper bound and no threshold.
"""

from __future__ import annotations

from dataclasses import replace

from kerasbn_export.folding.rules.spatial import keeps_order
from kerasbn_export.folding.rules.step import Push, Refusal, Step, stock_activation, takes_only
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph.model import Call, Graph, Layer, Value

ACTIVATIONS = ("relu", "leaky_relu")
FUNCTIONS = ("LeakyReLU", "PReLU")


def is_homogeneous(layer: Layer) -> bool:
    """Whether ``f(s*x) = s*f(x)`` for s >= 0."""
    if layer.kind == "Activation":
        return stock_activation(layer) in ACTIVATIONS
    if layer.kind == "ReLU":
        return layer.config.get("max_value") is None and not layer.config.get("threshold")
    return layer.kind in FUNCTIONS


def backward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """On to the activation's input."""
    del graph
    return _pass(call, push, call.inputs[0]) if is_homogeneous(call.layer) else None


def forward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """On to the activation's output."""
    del graph
    return _pass(call, push, call.output) if is_homogeneous(call.layer) and takes_only(call, push.value) else None


def _pass(call: Call, push: Push, value: Value) -> Step | Refusal:
    layer = call.layer
    if not push.affine.keeps_zero:
        return Refusal(Reason.NOT_AFFINE, f"A shift cannot pass {layer.kind} {layer.path!r}.")
    if not keeps_order(push):
        return Refusal(
            Reason.NEGATIVE_SCALE, f"A channel with a negative scale cannot pass {layer.kind} {layer.path!r}."
        )
    return Step("homogeneous", call, onward=(replace(push, value=value),))
