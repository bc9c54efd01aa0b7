"""A correct fold of a BatchNorm into the linear layer before it, in pieces that a fault can replace one by one.

    s = gamma / sqrt(variance + epsilon)      W' = s*W
    t = beta - mean*s                         b' = s*b + t

This is not the fold that kerasbn ships: it does one thing, and it is what the faults are measured against.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.graph.model import Call, Graph

LAST_AXIS = ("Dense", "Conv1D", "Conv2D", "Conv3D", "SeparableConv1D", "SeparableConv2D")
LAST_AXIS_BUT_ONE = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
LAST_TWO_AXES = ("DepthwiseConv1D", "DepthwiseConv2D")
LINEAR = (*LAST_AXIS, *LAST_AXIS_BUT_ONE, *LAST_TWO_AXES)


@dataclass(frozen=True)
class Statistics:
    """The numbers of one BatchNorm, in float64; gamma is ones and beta zeros where it has none."""

    gamma: Array
    beta: Array
    mean: Array
    variance: Array
    epsilon: float

    @property
    def sigma(self) -> Array:
        """``sqrt(variance + epsilon)``."""
        root: Array = np.sqrt(self.variance + self.epsilon)
        return root


Affine = tuple[Array, Array]
"""The scale s and the shift t."""


def affine(bn: Statistics) -> Affine:
    """``s = gamma / sqrt(variance + epsilon)``, ``t = beta - mean*s``."""
    scale = bn.gamma / bn.sigma
    return scale, bn.beta - bn.mean * scale


@dataclass(frozen=True)
class Site:
    """A linear layer and the BatchNorm right behind it.

    Attributes:
        graph: The model they are in.
        linear: The call of the linear layer.
        batchnorm: The call of the BatchNorm.
    """

    graph: Graph
    linear: Call
    batchnorm: Call

    @property
    def statistics(self) -> Statistics:
        """The numbers of the BatchNorm."""
        return statistics(self.batchnorm)

    @property
    def kernel_name(self) -> str:
        """The weight whose output channels are the BatchNorm's."""
        weights = self.linear.layer.weights
        if "pointwise_kernel" in weights:
            return "pointwise_kernel"
        return "depthwise_kernel" if "depthwise_kernel" in weights else "kernel"

    @property
    def kernel(self) -> Array:
        """The kernel in float64."""
        return np.asarray(self.linear.layer.weights[self.kernel_name], np.float64)

    @property
    def bias(self) -> Array:
        """The bias in float64; zeros if there is none."""
        bias = self.linear.layer.weights.get("bias")
        return np.zeros_like(self.statistics.mean) if bias is None else np.asarray(bias, np.float64)

    @property
    def blamed(self) -> frozenset[str]:
        """The layers in either of which an error of this fold shows."""
        return frozenset({self.linear.layer.path, self.batchnorm.layer.path})

    def along_output(self, channels: Array) -> Array:
        """Numbers per channel in the shape that multiplies the kernel along its output channels."""
        if self.linear.layer.kind in LAST_TWO_AXES:
            return channels.reshape(self.kernel.shape[-2:])
        return channels[:, None] if self.linear.layer.kind in LAST_AXIS_BUT_ONE else channels

    def replace(self, kernel: Array, bias: Array) -> None:
        """Give the linear layer new weights and take the BatchNorm away."""
        layer = self.linear.layer
        weights = {**layer.weights, self.kernel_name: kernel, "bias": bias}
        self.linear.layer = layer.with_weights(weights, use_bias=True)
        self.graph.bypass(self.batchnorm)


Weights = tuple[Array, Array]
"""A kernel and a bias."""


def weights(site: Site, scale: Array, shift: Array) -> Weights:
    """``W' = s*W``, ``b' = s*b + t``."""
    return site.kernel * site.along_output(scale), site.bias * scale + shift


def fold(site: Site) -> None:
    """Fold correctly."""
    site.replace(*weights(site, *affine(site.statistics)))


def statistics(call: Call) -> Statistics:
    """The numbers of a BatchNorm."""
    held = {name: np.asarray(array, np.float64) for name, array in call.layer.weights.items()}
    mean = held["moving_mean"]
    return Statistics(
        gamma=held.get("gamma", np.ones_like(mean)),
        beta=held.get("beta", np.zeros_like(mean)),
        mean=mean,
        variance=held["moving_variance"],
        epsilon=float(call.layer.config["epsilon"]),
    )


def is_batchnorm(call: Call | None) -> bool:
    """Whether a call is one of a BatchNorm."""
    return call is not None and call.layer.kind == "BatchNormalization"


def is_linear(call: Call | None) -> bool:
    """Whether a call is one of a linear layer with no activation inside."""
    return call is not None and call.layer.kind in LINEAR and call.layer.config["activation"] == "linear"


def channel_axis(call: Call) -> bool:
    """Whether a BatchNorm normalises the last axis."""
    axis, rank = call.layer.config["axis"], len(call.output.shape or ())
    return (axis if isinstance(axis, int) else axis[0]) in (-1, rank - 1)


def sites(graph: Graph) -> list[Site]:
    """Every place where a BatchNorm can be folded into the linear layer before it."""
    found = []
    for call in graph.in_order():
        producer = call.inputs[0].producer if is_batchnorm(call) else None
        if producer and is_linear(producer) and graph.sole_user(producer.output) is call and channel_axis(call):
            found.append(Site(graph, producer, call))
    return found


def batchnorms_behind(graph: Graph, accept: Callable[[Call], bool]) -> list[tuple[Call, Call]]:
    """Every BatchNorm with the accepted call whose output it takes."""
    pairs = [(call.inputs[0].producer, call) for call in graph.in_order() if is_batchnorm(call)]
    return [(producer, call) for producer, call in pairs if producer is not None and accept(producer)]
