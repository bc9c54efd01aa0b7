"""Rule 11, second part: an affine before a recurrent layer goes into its input kernel.

    W (s*x + t) + b = (W*s) x + (b + W t)

for the input kernel W and the input bias b; the recurrent kernel does not see the affine. A GRU with ``reset_after``
has two biases, (input, recurrent): the first changes.

Condition: the affine runs along the features, the last axis, and the layer is not called in training mode. Masked steps
are left out before and after.
"""

from __future__ import annotations

import numpy as np

from kerasbn_export.affine import Affine
from kerasbn_export.graph import Array, Call, Graph, Layer
from kerasbn_export.rules.producer import checked
from kerasbn_export.rules.step import Push, Refusal, Step, in_training, takes_only
from kerasbn_export.verdict import Reason

KINDS = ("LSTM", "GRU", "SimpleRNN")


def forward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """Into the input kernel and the input bias."""
    del graph
    layer = call.layer
    if layer.kind not in KINDS or not takes_only(call, push.value):
        return None
    if set(layer.weights) - {"bias"} != {"kernel", "recurrent_kernel"}:
        return Refusal(Reason.OPAQUE, f"{layer.kind} {layer.path!r} has weights that a plain one has not.")
    if in_training(call):
        return Refusal(Reason.TRAINING, f"{layer.kind} {layer.path!r} is called in training mode.")
    if push.axes != (2,):
        return Refusal(Reason.AXIS, f"The affine does not run along the features of {layer.kind} {layer.path!r}.")
    if "bias" not in layer.weights and not push.affine.keeps_zero:
        return Refusal(Reason.NOT_AFFINE, f"{layer.kind} {layer.path!r} has no bias to take a shift in.")
    return Step("recurrent", call, lambda layer: checked(layer.with_weights(_folded(layer, push.affine))))


def _folded(layer: Layer, before: Affine) -> dict[str, Array]:
    kernel = layer.weights["kernel"].astype(np.float64)
    weights = {**layer.weights, "kernel": kernel * before.scale[:, None]}
    if "bias" in weights:
        bias = weights["bias"].astype(np.float64)
        (bias[0] if bias.ndim == 2 else bias)[:] += before.shift @ kernel
        weights["bias"] = bias
    return weights
