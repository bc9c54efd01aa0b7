"""Rule 2: an affine goes backward into the linear layer that computes its input.

    s*(W x + b) + t = (s*W) x + (s*b + t)

Condition: nothing else sees the layer's output (the engine asks), the layer applies no activation inside, or a ReLU and
``t = 0, s >= 0`` (rule 8), the affine runs along its output channels, and the new weights are finite in the precision
the layer computes in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasbn_export.algebra.linear import kernel_name, linear
from kerasbn_export.folding.rules.step import Push, Refusal, Step
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph.model import Call, Graph, Layer, Value

LARGEST = {
    "float16": float(np.finfo(np.float16).max),
    "bfloat16": float(np.finfo(np.float32).max),
    "float32": float(np.finfo(np.float32).max),
    "float64": float(np.finfo(np.float64).max),
}


def backward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """Into the kernel and bias of the call's layer."""
    layer = call.layer
    if kernel_name(layer.kind, layer.weights) is None:
        return None
    if not has_no_activation(graph, layer) and not _passes_activation(graph, layer, push):
        name = layer.config["activation"]
        return Refusal(
            Reason.ACTIVATION,
            f"{layer.kind} {layer.path!r} applies activation {_name(name)} between its weights and the BatchNorm.",
        )
    rank = push.value.rank
    form = None if rank is None else linear(layer.kind, layer.config, layer.weights, rank, push.axes)
    if form is None:
        return Refusal(
            Reason.AXIS,
            f"The BatchNorm runs along axis {_list(push.axes)}, which is not the output channel axis of "
            f"{layer.kind} {layer.path!r}.",
        )

    def change(layer: Layer) -> Layer | Refusal:
        return checked(layer.with_weights(form.fold_after(layer.weights, push.affine), **form.options))

    return Step("backward", call, change)


def has_no_activation(graph: Graph, layer: Layer) -> bool:
    """Whether the layer's activation is Keras' own linear, also where a function of the user's has that name."""
    if layer.config.get("activation") not in (None, "linear"):
        return False
    function = getattr(layer.source, "activation", None)
    return layer.changed or function is None or function is graph.flavour.keras.activations.linear


def maker(graph: Graph, value: Value) -> Call | None:
    """What computes a value; an activation that is none, as at the end of a model in half precision, does not."""
    call = value.producer
    while call is not None and call.layer.kind == "Activation" and has_no_activation(graph, call.layer):
        call = call.inputs[0].producer
    return call


def _passes_activation(graph: Graph, layer: Layer, push: Push) -> bool:
    """``s*relu(W x + b) = relu((s*W) x + s*b)`` for ``s >= 0``."""
    function = getattr(layer.source, "activation", None)
    relu = layer.config["activation"] == "relu" and function in (None, graph.flavour.keras.activations.relu)
    return relu and push.affine.keeps_zero and bool(np.all(push.affine.scale >= 0))


def checked(layer: Layer) -> Layer | Refusal:
    """The layer, if every weight stays finite when it is rounded to the precision the layer computes in."""
    limit = LARGEST.get(layer.dtype, LARGEST["float32"])
    if all(bool(np.all(np.abs(array) <= limit)) for array in layer.weights.values()):
        return layer
    return Refusal(
        Reason.OVERFLOW,
        f"The folded weights of {layer.kind} {layer.path!r} would exceed the largest {layer.dtype} number.",
    )


def _name(activation: Any) -> str:
    if isinstance(activation, dict):
        activation = activation.get("class_name", "of its own")
    return repr(activation if isinstance(activation, str) else type(activation).__name__)


def _list(axes: tuple[int, ...]) -> str:
    return ", ".join(map(str, axes))
