"""Rule 9, another form: what zero padding takes from a shift is one map behind the convolution.

    W (*) pad(s*x + t) + b = (W*s) (*) pad(x) + (b + Wt) + M,      M[p] = -(sum over taps u that fall on zeros of W_u t)

With ``A[p, u] = 1`` where tap u of output position p falls on an element and 0 where it falls on padding, along each
axis, ``M[p] = sum over u of (A1[p1, u1] * A2[p2, u2] * ... - 1) W_u t``. Along an axis that pads nothing M has one
entry.

Condition: the BatchNorm feeds one convolution or depthwise convolution, perhaps through a ZeroPadding, and nothing
else; sizes are known; its activation is Keras' own; and M has fewer numbers than the depthwise 1x1 or the ADD that it
saves, so that the file does not grow: the convolutions at the end of a network, with many channels and few positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbn_export.algebra.affine import Float64
from kerasbn_export.algebra.linear import CONVOLUTIONS, DEPTHWISE, kernel_name
from kerasbn_export.algebra.linear_input import fold_before, input_channels, zeros_before
from kerasbn_export.algebra.taps import zeros_added
from kerasbn_export.folding.rules.producer import checked, has_no_activation
from kerasbn_export.folding.rules.spatial import PADDINGS
from kerasbn_export.folding.rules.step import Push, runs_along_last, stock_activation, takes_only
from kerasbn_export.graph.model import Call, Graph, Layer, Value, new_layer


@dataclass(frozen=True, eq=False)
class Site:
    """A convolution, what its zero padding hides from a shift before it, and the padding in front of it, if any."""

    consumer: Call
    hidden: Float64
    activation: str


def find(graph: Graph, call: Call, push: Push) -> Site | None:
    """Where the map of a BatchNorm goes; None if there is no place, or the map is larger than what it saves."""
    value, padding = call.output, None
    consumer = graph.sole_user(value)
    if consumer is not None and consumer.layer.kind in PADDINGS and _channels_last(consumer.layer):
        value, padding = consumer.output, consumer
        consumer = graph.sole_user(value)
    if consumer is None or push.value.masked or not _takes(graph, consumer, value, push):
        return None
    activation = "linear" if has_no_activation(graph, consumer.layer) else stock_activation(consumer.layer)
    seen = _seen(consumer, push.value, padding)
    if activation is None or seen is None:
        return None
    channels = push.affine.shift.size
    numbers = int(np.prod([axis.shape[0] for axis in seen])) * int((consumer.output.shape or (0,))[-1] or 0)
    if numbers >= (2 * channels if push.value.rank == 4 else channels):
        return None
    return Site(consumer, _hidden(consumer.layer, push.affine.shift, seen), activation)


def _takes(graph: Graph, consumer: Call, value: Value, push: Push) -> bool:
    layer = consumer.layer
    if layer.kind not in (*CONVOLUTIONS, *DEPTHWISE) or kernel_name(layer.kind, layer.weights) is None:
        return False
    if not _channels_last(layer) or not takes_only(consumer, value):
        return False
    alone = sum(other.layer.source is layer.source for other in graph) == 1
    channels = input_channels(layer.kind, layer.config, layer.weights)
    return alone and runs_along_last(push) and push.affine.shift.size == channels


def _channels_last(layer: Layer) -> bool:
    return layer.config.get("data_format") != "channels_first"


def _seen(consumer: Call, value: Value, padding: Call | None) -> list[Float64] | None:
    """A of every axis; None where a size is not known."""
    config = consumer.layer.config
    sizes, outputs = (value.shape or ())[1:-1], (consumer.output.shape or ())[1:-1]
    if None in sizes or None in outputs or not outputs:
        return None
    added = zeros_added(None if padding is None else padding.layer.config, len(sizes))
    seen = []
    for axis, (size, count) in enumerate(zip(sizes, outputs, strict=True)):
        kernel, stride, dilation = (_entry(config[key], axis) for key in ("kernel_size", "strides", "dilation_rate"))
        inside = (size or 0) + sum(added[axis])
        before = added[axis][0] + zeros_before(config["padding"], kernel, stride, dilation, inside)
        element = np.arange(count or 0)[:, None] * stride + np.arange(kernel) * dilation - before
        rows = ((element >= 0) & (element < (size or 0))).astype(np.float64)
        seen.append(rows[:1] if rows.all() else rows)
    return seen


def _entry(value: Any, axis: int) -> int:
    return int(value if isinstance(value, int) else value[axis])


def _hidden(layer: Layer, shift: Float64, seen: list[Float64]) -> Float64:
    """``M``, with one axis for every axis of the output but the batch."""
    taps = _shift_of_taps(layer, shift)
    result = taps
    for axis, rows in enumerate(seen):
        result = np.moveaxis(np.tensordot(rows, result, (1, axis)), 0, axis)
    hidden: Float64 = result - taps.sum(axis=tuple(range(taps.ndim - 1)))
    return hidden


def _shift_of_taps(layer: Layer, shift: Float64) -> Float64:
    """``W_u t`` for every tap u."""
    name = kernel_name(layer.kind, layer.weights) or ""
    kernel, kind = layer.weights[name], str(layer.kind)
    found: dict[tuple[int, ...], Float64] = {}
    for tap in np.ndindex(kernel.shape[:-2]):
        one = kernel[tuple(slice(index, index + 1) for index in tap)]
        scaled = fold_before(kind, layer.config, {name: one}, np.ones_like(shift), shift)
        found[tap] = scaled.weights.get("bias", np.zeros(()))
    width = max(bias.size for bias in found.values())
    result = np.zeros((*kernel.shape[:-2], width))
    for tap, bias in found.items():
        result[tap] = bias
    return result


def apply(graph: Graph, site: Site, call: Call, push: Push) -> bool:
    """Put the map behind the convolution and take the BatchNorm away; False where weights would not be finite."""
    layer, affine = site.consumer.layer, push.affine
    scaled = fold_before(str(layer.kind), layer.config, layer.weights, affine.scale, affine.shift)
    taken = checked(layer.with_weights(scaled.weights, **scaled.options, activation="linear"))
    if not isinstance(taken, Layer):
        return False
    norm = call.layer
    config = {"name": norm.name, "scale": 1.0, "offset": site.hidden.tolist(), "dtype": norm.config["dtype"]}
    graph.bypass(call)
    site.consumer.layer = taken
    added = graph.insert_after(
        site.consumer.output, Layer(norm.name, norm.path, "Rescaling", None, norm.dtype, config, {})
    )
    if site.activation != "linear":
        options = {"activation": site.activation, "dtype": layer.config["dtype"]}
        graph.insert_after(added.output, new_layer("Activation", f"{layer.name}_{site.activation}", options))
    return True
