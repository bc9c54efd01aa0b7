"""Rule 3: an affine goes forward into the linear layers that take its output.

    W (s*x + t) + b = (W*s) x + (b + W t)

Condition: every consumer of the affine takes it (the engine asks each), the affine runs along the layer's input
channels, and, unless t = 0, no tap of the kernel falls on zero padding and every output sees the same taps. An
activation inside the layer comes after the weights and does not matter.
"""

from __future__ import annotations

from kerasbn_export.algebra.linear import TRANSPOSED, kernel_name, output_axis
from kerasbn_export.algebra.linear_input import einsum_takes, fold_before, fold_before_einsum, input_channels, pads
from kerasbn_export.folding.rules.producer import checked
from kerasbn_export.folding.rules.step import Push, Refusal, Step, takes_only
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph.model import Call, Graph, Layer


def forward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """Into the kernel and bias of a consumer."""
    del graph
    layer = call.layer
    if kernel_name(layer.kind, layer.weights) is None or not takes_only(call, push.value):
        return None
    if not push.affine.keeps_zero and sees_padding(call, push):
        return Refusal(
            Reason.ZERO_PADDING, f"{layer.kind} {layer.path!r} does not see the same taps at every output position."
        )
    if not _takes_axes(layer, push):
        return Refusal(
            Reason.AXIS, f"The affine does not run along the input channel axis of {layer.kind} {layer.path!r}."
        )
    return Step("forward", call, lambda layer: _folded(layer, push))


def sees_padding(call: Call, push: Push) -> bool:
    """Whether a shift of the layer's input is not the same shift of its output everywhere."""
    return call.layer.kind in TRANSPOSED or pads(call.layer.config, push.value.shape or ())


def _takes_axes(layer: Layer, push: Push) -> bool:
    """Whether the affine runs along the layer's input channels."""
    if layer.kind == "EinsumDense":
        return einsum_takes(layer.config["equation"], push.axes)
    if push.axes != (output_axis(layer.kind, layer.config, push.value.rank or 0),):
        return False
    return push.affine.scale.size == input_channels(layer.kind or "", layer.config, layer.weights)


def _folded(layer: Layer, push: Push) -> Layer | Refusal:
    scale, shift, config = push.affine.scale, push.affine.shift, layer.config
    if layer.kind == "EinsumDense":
        scaled = fold_before_einsum(config["equation"], config["bias_axes"], layer.weights, push.axes, scale, shift)
    else:
        scaled = fold_before(layer.kind or "", config, layer.weights, scale, shift)
    return checked(layer.with_weights(scaled.weights, **scaled.options))
