"""Rules 4 and 5: layers that mix positions but not channels.

Averages, also weighted ones, commute with an affine, for their weights sum to one:

    mean(s*x + t) = s*mean(x) + t

Cropping selects positions and commutes too. A maximum commutes where the order stays:

    max(s*x + t) = s*max(x) + t   for s >= 0

and padding with zeros lets a scale pass: ``pad(s*x) = s*pad(x)``.

Condition: the affine runs along the axis that the layer does not mix; pooling averages over true elements only
(TensorFlow's 'same' does); s >= 0 for a maximum; t = 0 for zero padding.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kerasbn_export.folding.rules.step import Push, Refusal, Step
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph.model import Call, Graph, Layer, Value

AVERAGES = tuple(f"{name}Pooling{n}D" for name in ("Average", "GlobalAverage") for n in (1, 2, 3))
MAXIMA = tuple(f"{name}Pooling{n}D" for name in ("Max", "GlobalMax") for n in (1, 2, 3))
SELECTIONS = (
    *("Cropping1D", "Cropping2D", "Cropping3D", "UpSampling1D", "UpSampling2D", "UpSampling3D"),
    *("CenterCrop", "Resizing"),
)
PADDINGS = ("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
INTERPOLATIONS = ("nearest", "bilinear")
COARSER = "Exact, but in int8 the average of {!r} is now taken of scaled numbers, which may be coarser."


def backward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """On to the layer's input."""
    if not _concerns(call):
        return None
    if call.layer.kind in AVERAGES and not graph.passes_averages:
        return Refusal(Reason.NOT_AFFINE, f"It was to stay behind {call.layer.kind} {call.layer.path!r}.")
    value = call.inputs[0]
    axis = channel_axis(call)
    if push.axes != (axis if call.output.rank == value.rank else 1,):
        return _mixed(call)
    note = COARSER.format(call.layer.path) if call.layer.kind in AVERAGES else ""
    return _condition(call, push) or Step("commute", call, onward=(Push(value, push.affine, (axis,)),), note=note)


def forward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """On to the layer's output."""
    del graph
    if not _concerns(call):
        return None
    if push.axes != (channel_axis(call),):
        return _mixed(call)
    axes = push.axes if call.output.rank == push.value.rank else (1,)
    return _condition(call, push) or Step("commute", call, onward=(replace(push, value=call.output, axes=axes),))


def channel_axis(call: Call) -> int:
    """The axis of the input that the layer does not mix."""
    first = call.layer.config.get("data_format") == "channels_first"
    return 1 if first else (call.inputs[0].rank or 0) - 1


def _concerns(call: Call) -> bool:
    return call.layer.kind in (*AVERAGES, *MAXIMA, *SELECTIONS, *PADDINGS)


def _condition(call: Call, push: Push) -> Refusal | None:
    layer = call.layer
    if layer.kind in MAXIMA and not keeps_order(push):
        return Refusal(
            Reason.NEGATIVE_SCALE, f"A channel with a negative scale cannot pass {layer.kind} {layer.path!r}."
        )
    if layer.kind in PADDINGS and not push.affine.keeps_zero:
        return Refusal(Reason.ZERO_PADDING, f"A shift cannot pass {layer.kind} {layer.path!r}.")
    if layer.config.get("pad_to_aspect_ratio"):
        return Refusal(Reason.NOT_AFFINE, f"{layer.kind} {layer.path!r} pads what it gives.")
    if layer.config.get("interpolation", "nearest") not in INTERPOLATIONS:
        return Refusal(Reason.NOT_AFFINE, f"{layer.kind} {layer.path!r} interpolates by weights of its own.")
    if isinstance(call.kwargs.get("mask"), Value):
        return Refusal(Reason.NOT_AFFINE, f"{layer.kind} {layer.path!r} leaves positions out by a mask.")
    return None


def keeps_order(push: Push) -> bool:
    """``s >= 0`` in every channel."""
    return bool(np.all(push.affine.scale >= 0))


def negative(layer: Layer) -> Refusal:
    """The refusal for a scale that would turn the order."""
    return Refusal(Reason.NEGATIVE_SCALE, f"A negative scale cannot pass {layer.kind} {layer.path!r}.")


def _mixed(call: Call) -> Refusal:
    return Refusal(Reason.AXIS, f"{call.layer.kind} {call.layer.path!r} mixes the axis that the affine runs along.")
