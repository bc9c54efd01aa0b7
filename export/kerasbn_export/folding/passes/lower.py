"""Rule 13: an affine that has no way out takes its cheapest form.

==========================  =====  ==========================================================================
form                        ops    condition
==========================  =====  ==========================================================================
one ADD                     1      s = 1, or the scale has a way forward or backward on its own
one MUL                     1      t = 0, likewise for the shift
one depthwise 1x1           1      rank 4, channels last, and not the same for every channel: ``y = s*x + t`` is a
                                   convolution with kernel s and bias t
MUL + ADD                   2      always: the BatchNorm stays as it is; none behind a function that convolves with a
                                   constant, where the converter takes both into its kernel
==========================  =====  ==========================================================================

A depthwise convolution takes a following activation in, as ADD and MUL do, and in int8 has one scale per channel. MUL
and ADD with one number each took 0.2 to 0.3 of its time on 1 to 3 channels and 0.5 to 0.9 on 8 to 16 (float32 and int8,
XNNPACK, one thread), so an affine that is the same for every channel, as the Rescaling of an image, gets none.
"""

from __future__ import annotations

from dataclasses import replace

from kerasbn_export.algebra.affine import Affine
from kerasbn_export.folding.affine_calls import read
from kerasbn_export.folding.ledger import Ledger
from kerasbn_export.folding.passes.collapse import rescaling
from kerasbn_export.folding.route import Way, backward_step, forward_step, travel
from kerasbn_export.folding.rules.producer import checked
from kerasbn_export.folding.rules.step import Push, runs_along_last
from kerasbn_export.graph.batchnorm import is_batchnorm
from kerasbn_export.graph.model import Call, Graph, Layer

LOWERED = ("Normalization", "Rescaling")
"""Affines that cost two operations, beside BatchNorm; a product or a sum with a constant costs one already."""


CONVOLUTIONS = ("op.conv", "op.conv2d", "op.depthwise_conv", "op.depthwise_conv2d")
"""Functions, mostly with a constant kernel: the converter folds MUL and ADD into that. For layers there are rules."""
POINTWISE = {
    "kernel_size": [1, 1],
    "strides": [1, 1],
    "dilation_rate": [1, 1],
    "padding": "valid",
    "data_format": "channels_last",
    "depth_multiplier": 1,
    "activation": "linear",
    "use_bias": True,
}
"""The options of the depthwise 1x1, all that other rules ask a convolution for."""


def lower(graph: Graph, call: Call, ledger: Ledger) -> None:
    """Give an affine call that is left its cheapest form."""
    push = read(call) if is_batchnorm(call.layer) or call.layer.kind in LOWERED else None
    if push is None or push.value.masked or not runs_along_last(push):
        return
    whole = push.affine
    if push.value.producer.layer.kind in CONVOLUTIONS:  # type: ignore[union-attr]  # which every value has
        return
    if whole.keeps_scale or whole.keeps_zero:
        rest, way = whole, None
    elif push.value.rank == 4 and not whole.is_uniform:
        layer = checked(depthwise(graph, call.layer, whole))
        if isinstance(layer, Layer):
            ledger.lowered(call, "depthwise")
            graph.replace(call, layer, push.value)
        return
    else:
        rest, way = _half(graph, call, push)
    if (rest.keeps_scale or rest.keeps_zero) and (way is not None or call.layer.kind != "Rescaling"):
        ledger.lowered(call, "add" if rest.keeps_scale else "multiply", way)
        graph.replace(call, rescaling(call.layer, rest, call.layer.config["dtype"]), push.value)


def _half(graph: Graph, call: Call, push: Push) -> tuple[Affine, Way | None]:
    """What is left of the affine when one half of it finds a way of its own, and that way."""
    whole, behind = push.affine, replace(push, value=call.output)
    before = whole.shift_before_scale
    halves = [(backward_step, replace(push, affine=whole.scaling), whole.shifting)]
    halves.append((forward_step, replace(behind, affine=whole.shifting), whole.scaling))
    if before is not None:
        halves.append((forward_step, replace(behind, affine=whole.scaling), before))
        halves.append((backward_step, replace(push, affine=before), whole.scaling))
    for stepping, half, rest in halves:
        way = travel(graph, [(stepping, half)])
        if isinstance(way, Way):
            return rest, way
    return whole, None


def depthwise(graph: Graph, layer: Layer, new: Affine) -> Layer:
    """A depthwise 1x1 in the layer's name and precision, for an affine along the last axis of rank 4."""
    config = {**POINTWISE, "name": layer.name, "dtype": layer.config["dtype"]}
    kernel = "kernel" if graph.flavour.name == "keras" else "depthwise_kernel"
    weights = {kernel: new.scale.reshape(1, 1, -1, 1), "bias": new.shift}
    return Layer(layer.name, layer.path, "DepthwiseConv2D", None, layer.dtype, config, weights)
