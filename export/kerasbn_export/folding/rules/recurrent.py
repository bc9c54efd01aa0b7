"""Rule 11, second part: an affine before a recurrent layer goes into its input kernel.

    W (s*x + t) + b = (W*s) x + (b + W t)

for the input kernel W and the input bias b; the recurrent kernel does not see the affine. A GRU with ``reset_after``
has two biases, (input, recurrent): the first changes.

Condition: the affine runs along the features, the last axis, and the layer is not called in training mode. Masked steps
are left out before and after.
"""

from __future__ import annotations

import numpy as np

from kerasbn_export.algebra.affine import Affine
from kerasbn_export.arrays import Array
from kerasbn_export.folding.rules.producer import checked
from kerasbn_export.folding.rules.step import Push, Refusal, Step, in_training, runs_along_last, takes_only
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph.batchnorm import layer_kind
from kerasbn_export.graph.model import Call, Graph, Layer

KINDS = ("LSTM", "GRU", "SimpleRNN")


def forward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """Into the input kernel and the input bias; into both of a Bidirectional."""
    layer = call.layer
    if not _is_recurrent(graph, layer) or not takes_only(call, push.value):
        return None
    kernels = [name for name in layer.weights if name.rpartition("/")[2] == "kernel"]
    if in_training(call):
        return Refusal(Reason.TRAINING, f"{layer.kind} {layer.path!r} is called in training mode.")
    if not runs_along_last(push):
        return Refusal(Reason.AXIS, f"The affine does not run along the features of {layer.kind} {layer.path!r}.")
    if any(_bias(kernel) not in layer.weights for kernel in kernels) and not push.affine.keeps_zero:
        return Refusal(Reason.NOT_AFFINE, f"{layer.kind} {layer.path!r} has no bias to take a shift in.")
    return Step("recurrent", call, lambda layer: checked(layer.with_weights(_folded(layer, kernels, push.affine))))


def _is_recurrent(graph: Graph, layer: Layer) -> bool:
    if layer.kind == "Bidirectional":
        halves = (layer.source.forward_layer, layer.source.backward_layer)
        return all(layer_kind(graph.flavour, half) in KINDS for half in halves)
    return layer.kind in KINDS


def _bias(kernel: str) -> str:
    return kernel.removesuffix("kernel") + "bias"


def _folded(layer: Layer, kernels: list[str], before: Affine) -> dict[str, Array]:
    weights = {name: array.astype(np.float64) for name, array in layer.weights.items()}
    for name in kernels:
        kernel = weights[name]
        weights[name] = kernel * before.scale[:, None]
        bias = weights.get(_bias(name))
        if bias is not None:
            (bias[0] if bias.ndim == 2 else bias)[:] += before.shift @ kernel
    return weights
