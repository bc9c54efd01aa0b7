"""How far float32 rounding can take a linear layer, with what is merged into it.

For ``y = s*(x conv W + b) + t`` with ``t = beta - s*mean``, computed in float32 in any order, folded or not::

    |error| <= 8*u*(sqrt(K)*(|x| conv |s*W| + |s*b| + |s*b + t|) + |s|*(|b| + |mean|) + |beta|)

with ``u = 2^-24`` and K terms in a sum. A kernel may begin a sum with its bias, ``b`` or ``s*b + t``: then each of the
K additions is rounded to the size of that.

The root stands for rounding errors that have no common sign, the 8 for those that happen to (Higham and
Mary 2019, A new approach to probabilistic rounding error analysis). An error beyond it is no rounding error. What an
elementwise function behind the layer makes of it is found by evaluating the function.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from kerasbn_export.algebra.linear import SEPARABLE, kernel_name
from kerasbn_export.arrays import Array
from kerasbn_export.graph.batchnorm import affine as affine_of
from kerasbn_export.graph.batchnorm import axes, is_batchnorm
from kerasbn_export.graph.model import Call, Layer
from kerasbn_export.verification.network.elementwise import MARGIN, UNIT_ROUNDOFF, Function, is_elementwise, passed_on
from kerasbn_export.verification.records.pieces import Index

NOT_ROUNDING = frozenset({"relu", "relu6", "linear", "leaky_relu"})
"""Activations that make no difference larger and compute nothing that has to be rounded."""
PASSING_ON = frozenset({"Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise", "GaussianDropout"})


def absolute(layer: Layer) -> Layer | None:
    """The layer with the magnitudes of its weights, no bias and no activation; None if it is not linear."""
    name = kernel_name(layer.kind, layer.weights)
    if name is None or layer.kind == "EinsumDense":
        return None
    kernels = {key: np.abs(np.asarray(array, np.float64)) for key, array in layer.weights.items() if key != "bias"}
    return layer.with_weights(kernels, use_bias=False, activation="linear")


def activation_name(layer: Layer) -> str:
    """The name of the activation of a layer, ``"custom"`` if Keras has none for it."""
    activation = layer.config.get("activation") or "linear"
    return activation if isinstance(activation, str) else "custom"


@dataclass(frozen=True)
class Bound:
    """What rounding can explain at one value.

    Attributes:
        products: ``sqrt(K) * (|x| conv |s*W| + ...)`` at each element.
        rest: ``|s|*(|b| + |mean|) + |beta|`` at each element.
        start: The bias that a sum may begin with, at each element.
        root: ``sqrt(K)``.
    """

    products: Array
    rest: Array
    start: Array
    root: float

    @property
    def array(self) -> Array:
        """The bound at each element."""
        return self.at(())

    def at(self, index: Index) -> Array:
        """The bound at some elements."""
        bound: Array = MARGIN * UNIT_ROUNDOFF * (self.products[index] + self.rest[index])
        return bound

    def part(self, difference: Array, index: Index) -> float:
        """The largest difference at some elements as a part of what rounding explains there."""
        allowed = np.maximum(self.at(index), np.finfo(np.float32).tiny)
        return float(np.nan_to_num(np.abs(difference) / allowed, nan=math.inf).max())

    def after(self, call: Call, function: Function, at: Array) -> Bound | None:
        """The bound after one more call that is merged; None if it is not known.

        Args:
            call: The call.
            function: What it makes of an array.
            at: What it takes.
        """
        if is_batchnorm(call.layer):
            return self._after_batchnorm(call)
        if call.layer.kind in ("Reshape", "Flatten"):
            shape = (self.products.shape[0], *(call.output.shape or ())[1:])
            products, rest, start = (array.reshape(shape) for array in (self.products, self.rest, self.start))
            return Bound(products, rest, start, self.root)
        if call.layer.kind in PASSING_ON:
            return self
        return self.through(function, at)

    def through(self, function: Function, at: Array) -> Bound | None:
        """The bound behind an elementwise function; None if it is not elementwise."""
        if not is_elementwise(function, at):
            return None
        passed = passed_on(function, at, self.array) / (MARGIN * UNIT_ROUNDOFF)
        return Bound(passed, np.zeros_like(passed), np.zeros_like(passed), self.root)

    def _after_batchnorm(self, call: Call) -> Bound:
        rank, affine = self.products.ndim, affine_of(call.layer)
        shape = [size if axis in axes(call.layer, rank) else 1 for axis, size in enumerate(self.products.shape)]
        weights = (call.layer.weights.get(name, np.zeros(1)) for name in ("moving_mean", "beta"))
        mean, beta = (_along(np.abs(np.asarray(array, np.float64)), shape) for array in weights)
        scale = _along(affine.scale, shape)
        s, start = np.abs(scale), scale * self.start + _along(affine.shift, shape)
        return Bound(s * self.products + self.root * np.abs(start), s * (self.rest + mean) + beta, start, self.root)


def _along(array: Array, shape: list[int]) -> Array:
    """The numbers of channels, where an array has one for each, in a shape that fits the output."""
    return array.reshape(shape) if array.size > 1 else array


def bound_of(layer: Layer, products: Array, output_axis: int) -> Bound:
    """The bound of a linear layer alone.

    Args:
        layer: The layer.
        products: ``|x| conv |W|``.
        output_axis: The axis of its output channels.
    """
    root = math.sqrt(_terms(layer))
    bias = np.asarray(layer.weights.get("bias", np.zeros(1)), np.float64)
    view = [1] * products.ndim
    view[output_axis] = bias.size
    start = np.broadcast_to(bias.reshape(view), products.shape)
    return Bound(root * (products + np.abs(start)), np.abs(start), start, root)


def _terms(layer: Layer) -> int:
    """The number of products in one sum, at most."""
    name = kernel_name(layer.kind, layer.weights)
    kernel = layer.weights[str(name)]
    if layer.kind in SEPARABLE:
        return int(np.prod(layer.weights["depthwise_kernel"].shape[:-2])) + int(kernel.shape[-2])
    if name == "depthwise_kernel":
        return int(np.prod(kernel.shape[:-2]))
    channels = kernel.shape[-1] if kernel.ndim == 2 else min(kernel.shape[-2:])
    return int(kernel.size) // int(channels)
