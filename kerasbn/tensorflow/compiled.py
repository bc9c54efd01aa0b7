"""Batch normalization for XLA, whose expansion of the fused operation is slower, coarser, and knows no masks.

What lies between two sums XLA computes in one pass, so plain formulas are as few passes as any. With m elements for
each channel,

    dx = gamma / sigma * (dy - kept * (sum(dy) + x_hat * sum(dy * x_hat)) / m)

where ``kept`` is 0 for what a mask leaves out, and sigma is ``sqrt(variance + epsilon)``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

# There is no public name for this question.
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

from kerasbn.layout import Layout
from kerasbn.library import Correction, Tensor
from kerasbn.tensorflow.ops import shape


class Result(NamedTuple):
    """Outputs, and statistics with an element for each channel, which carry no gradient.

    Attributes:
        y: In the shape and type of the inputs.
        mean: In float32.
        variance: The population's, in float32.
        count: How many elements each was taken over: a number, or with a mask one for each channel.
    """

    y: Tensor
    mean: Tensor
    variance: Tensor
    count: Tensor


def in_xla() -> bool:
    """Whether what is traced now is for XLA."""
    return bool(GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))


def training(
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    epsilon: float,
    layout: Layout,
    *,
    mask: Tensor | None = None,
    correction: Correction | None = None,
) -> Result:
    """Normalizes with the statistics of the batch.

    Where channels are last and nothing is masked, the first row is taken off, so that no sum rounds at a mean that is
    far from 0; XLA does it within each pass. Elsewhere it takes another 10 % of the time, and sums round as those of
    the stock layers.

    Args:
        x: Inputs of any layout, its channel axes together or not.
        gamma: Of shape (channels,), in float32.
        beta: The same.
        epsilon: Added to the variance.
        layout: Of ``x``.
        mask: True for what counts; broadcasts against ``x``.
        correction: Gives renorm's (r, d) from mean and variance.
    """
    sizes, axes = _grouped(x, layout)
    grouped = tf.cast(tf.reshape(x, sizes), "float32")
    kept = None if mask is None else tf.reshape(tf.broadcast_to(mask, shape(x)), sizes)
    wide = [1 if axis in axes else size for axis, size in enumerate(sizes)]
    offset = tf.stop_gradient(_first(grouped)) if axes == [0] and mask is None else tf.zeros(wide)
    near = grouped - offset
    center, variance, count = _moments(tf.stop_gradient(near), axes, kept)
    mean = tf.reshape(center + offset, (-1,))
    if correction is not None:
        r, d = correction(mean, tf.reshape(variance, (-1,)))
        gamma, beta = gamma * r, gamma * d + beta
    inverse, divisor = tf.math.rsqrt(variance + epsilon), tf.maximum(count, 1.0)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def normalized(near: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Callable[[Tensor], Sequence[Tensor]]]:
        def gradient(dy: Tensor) -> Sequence[Tensor]:
            hat = (near - center) * inverse
            dbeta = tf.reduce_sum(dy, axes, True)
            dgamma = tf.reduce_sum(dy * (hat if layout.contiguous else near), axes, True)
            if not layout.contiguous:  # What needs no mean is summed in the pass that sums x, a pass less.
                dgamma = inverse * (dgamma - center * dbeta)
            through = (dbeta + hat * dgamma) / divisor
            through = through if kept is None else tf.where(kept, through, tf.zeros_like(through))
            return inverse * gamma * (dy - through), dgamma, dbeta

        return (near - center) * (inverse * gamma) + beta, gradient

    y = normalized(near, tf.reshape(gamma, wide), tf.reshape(beta, wide))
    vectors = mean, tf.reshape(variance, (-1,)), count if mask is None else tf.reshape(count, (-1,))
    return Result(tf.cast(tf.reshape(y, shape(x)), x.dtype), *vectors)


def _grouped(x: Tensor, layout: Layout) -> tuple[list[Tensor], list[int]]:
    """A shape in which neighbours of a kind are one axis, and which of its axes are averaged over.

    XLA sums over one axis up to three times as fast as over three.
    """
    kinds = itertools.groupby(enumerate(shape(x)), lambda each: each[0] in layout.axes)
    groups = [(of_channels, math.prod(size for _, size in members)) for of_channels, members in kinds]
    return [size for _, size in groups], [axis for axis, (of_channels, _) in enumerate(groups) if not of_channels]


def _first(rows: Tensor) -> Tensor:
    """The first row, or zeros where there is none."""
    return tf.reduce_sum(rows[:1], 0, keepdims=True)


def _moments(x: Tensor, axes: Sequence[int], mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, population variance and count, in a shape that broadcasts against ``x``."""
    if mask is None:
        count = tf.cast(math.prod(shape(x)[axis] for axis in axes), "float32")
    else:
        count = tf.reduce_sum(tf.cast(mask, "float32"), axes, True)
    divisor = tf.maximum(count, 1.0)

    def average(values: Tensor) -> Tensor:
        kept = values if mask is None else tf.where(mask, values, tf.zeros_like(values))
        return tf.reduce_sum(kept, axes, True) / divisor

    mean = average(x)
    return mean, average(tf.square(x - mean)), count
