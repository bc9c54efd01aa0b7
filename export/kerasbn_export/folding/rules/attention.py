"""Rule 11, third part: an affine at an attention with projections goes into these, which are linear.

    Wq (s*x + t) + bq = (Wq*s) x + (bq + Wq t)        before it: query, and likewise key and value
    s*(Wo a + bo) + t = (s*Wo) a + (s*bo + t)         behind it: the output

Condition: the affine runs along the features, the last axis; every place where the layer takes the value is query, key
or value; the layer has biases, or t = 0; it is not called in training mode. The gate of a GroupQueryAttention takes
the query too.
"""

from __future__ import annotations

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.folding.rules.producer import checked
from kerasbn_export.folding.rules.step import Push, Refusal, Step, runs_along_last
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph.model import Call, Graph, Layer

KINDS = ("MultiHeadAttention", "GroupQueryAttention")
ROLES = ("query", "value", "key")
GATE = "gate"
OUTPUT = "attention_output"


def backward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """Into the output projection."""
    del graph
    layer = call.layer
    if layer.kind not in KINDS or push.value is not call.output:
        return None
    if not runs_along_last(push):
        return Refusal(Reason.AXIS, f"The affine does not run along the features of {layer.kind} {layer.path!r}.")
    if f"{OUTPUT}/kernel" not in layer.weights or layer.weights[f"{OUTPUT}/kernel"].ndim != 3:
        return Refusal(Reason.OPAQUE, f"{layer.kind} {layer.path!r} has weights that a plain one has not.")
    if not push.affine.keeps_zero and f"{OUTPUT}/bias" not in layer.weights:
        return Refusal(Reason.NOT_AFFINE, f"{layer.kind} {layer.path!r} has no bias to take a shift in.")
    return Step("attention", call, lambda layer: checked(layer.with_weights(_projected(layer, push))))


def _projected(layer: Layer, push: Push) -> dict[str, Array]:
    """The kernel of the output projection is (heads, size, features), its bias (features)."""
    weights = {name: array.astype(np.float64) for name, array in layer.weights.items()}
    weights[f"{OUTPUT}/kernel"] = weights[f"{OUTPUT}/kernel"] * push.affine.scale
    if f"{OUTPUT}/bias" in weights:
        weights[f"{OUTPUT}/bias"] = weights[f"{OUTPUT}/bias"] * push.affine.scale + push.affine.shift
    return weights


def forward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """Into the kernels of the roles that the value plays."""
    del graph
    layer = call.layer
    if layer.kind not in KINDS:
        return None
    given = {**dict(zip(ROLES, call.args, strict=False)), **call.kwargs}
    roles = [role for role in ROLES if given.get(role) is push.value]
    if len(roles) != sum(taken is push.value for taken in call.inputs):
        return Refusal(Reason.NOT_LINEAR, f"{layer.kind} {layer.path!r} takes it beside query, key and value.")
    if given.get("key") is None and "value" in roles:
        roles.append("key")
    if f"{GATE}/kernel" in layer.weights and "query" in roles:
        roles.append(GATE)
    if given.get("training") not in (None, False):
        return Refusal(Reason.TRAINING, f"{layer.kind} {layer.path!r} is called in training mode.")
    if not runs_along_last(push):
        return Refusal(Reason.AXIS, f"The affine does not run along the features of {layer.kind} {layer.path!r}.")
    if any(f"{role}/kernel" not in layer.weights for role in roles):
        return Refusal(Reason.OPAQUE, f"{layer.kind} {layer.path!r} has weights that a plain one has not.")
    if not push.affine.keeps_zero and "query/bias" not in layer.weights:
        return Refusal(Reason.NOT_AFFINE, f"{layer.kind} {layer.path!r} has no biases to take a shift in.")
    return Step("attention", call, lambda layer: checked(layer.with_weights(_folded(layer, roles, push))))


def _folded(layer: Layer, roles: list[str], push: Push) -> dict[str, Array]:
    """The kernel of a role is (features, heads, size), its bias (heads, size)."""
    weights = {name: array.astype(np.float64) for name, array in layer.weights.items()}
    for role in roles:
        kernel = weights[f"{role}/kernel"]
        weights[f"{role}/kernel"] = kernel * push.affine.scale[:, None, None]
        if f"{role}/bias" in weights:
            weights[f"{role}/bias"] = weights[f"{role}/bias"] + np.tensordot(push.affine.shift, kernel, 1)
    return weights
