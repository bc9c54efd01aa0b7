"""A layer with fewer channels.

    b' = b + sum over gone c of W_c k_c              linear, no padding
    W'_1 = W_1 + sum over gone c of W_c (k_c/k_1)    linear, padding: channel 1 carries; the padding pads it too

and then only what stays of every axis of channels. All in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from kerasbn_export.algebra.affine import Float64
from kerasbn_export.algebra.linear import DEPTHWISE, SEPARABLE, TRANSPOSED
from kerasbn_export.algebra.linear_input import fold_before
from kerasbn_export.arrays import Array
from kerasbn_export.graph.batchnorm import KINDS
from kerasbn_export.graph.model import Layer

Kept = npt.NDArray[np.bool_]


def without_channels(layer: Layer, taken: Kept, given: Kept) -> Layer:
    """The layer, with what stays of the channels that it takes and gives.

    Args:
        layer: A layer that has taken in the constants of the channels that go.
        taken: Which of its input channels stay.
        given: Which of its output channels stay.
    """
    kind, config, count = str(layer.kind), layer.config, int(given.sum())
    if kind in KINDS or kind == "PReLU":
        return layer.with_weights({name: _last(array, given) for name, array in layer.weights.items()})
    if kind == "Embedding":
        return layer.with_weights({"embeddings": layer.weights["embeddings"][:, given]}, output_dim=count)
    if kind == "Reshape":
        target = tuple(config["target_shape"])
        last = target[-1] if target[-1] == -1 else target[-1] * count // given.size
        return layer.with_weights({}, target_shape=(*target[:-1], last))
    options = {} if kind in DEPTHWISE else {size_option(kind): count}
    return layer.with_weights(_linear(kind, dict(layer.weights), taken, given), **options)


def size_option(kind: str) -> str:
    """The option in which a linear layer says how many channels it gives."""
    return "units" if kind == "Dense" else "filters"


def _linear(kind: str, weights: dict[str, Array], taken: Kept, given: Kept) -> dict[str, Array]:
    cut = {name: array[given] for name, array in weights.items() if name == "bias"}
    if kind in SEPARABLE:
        cut["depthwise_kernel"] = weights["depthwise_kernel"][..., taken, :]
        multiplied = np.repeat(taken, weights["depthwise_kernel"].shape[-1])
        return {**cut, "pointwise_kernel": weights["pointwise_kernel"][..., multiplied, :][..., given]}
    (name,) = set(weights) - {"bias"}
    if kind in DEPTHWISE:
        return {**cut, name: weights[name][..., taken, :]}
    first, second = (given, taken) if kind in TRANSPOSED else (taken, given)
    return {**cut, name: weights[name][..., first, :][..., second]}


def _last(array: Array, given: Kept) -> Array:
    return array[..., given] if array.ndim else array


def taking_constants(layer: Layer, taken: Kept, constants: Float64, carrier: int | None, *, padded: bool) -> Layer:
    """A linear layer with the constants of the channels that go in its bias, or in the kernel of the one that carries.

    Args:
        layer: The layer.
        taken: Which of its input channels stay.
        constants: The constant of each channel that goes.
        carrier: The place of the channel that carries, where a constant is not zero.
        padded: Whether the layer pads zeros.
    """
    gone = np.where(taken, 0.0, constants)
    if not gone.any():
        return layer
    if padded and carrier is not None:
        return layer.with_weights({**layer.weights, "kernel": _carried(layer, gone / constants[carrier], carrier)})
    folded = fold_before(str(layer.kind), layer.config, layer.weights, np.ones_like(gone), gone)
    return layer.with_weights(folded.weights, **folded.options)


def _carried(layer: Layer, ratios: Float64, carrier: int) -> Float64:
    axis = -1 if layer.kind in TRANSPOSED else -2
    kernel = np.moveaxis(layer.weights["kernel"].astype(np.float64), axis, -1).copy()
    kernel[..., carrier] += kernel @ ratios
    return np.moveaxis(kernel, -1, axis)


def silenced(layer: Layer, channels: Kept) -> Layer:
    """A BatchNorm with a gamma of zero in some channels, in which it was small."""
    weights: dict[str, Any] = dict(layer.weights)
    weights["gamma"] = np.where(channels, 0.0, weights["gamma"])
    return layer.with_weights(weights)
