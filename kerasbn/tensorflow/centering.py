"""Inputs brought near 0 where the fused kernel would take their statistics in float32 too coarsely.

The kernel adds row after row in float32. Of many rows `kerasbn.tensorflow.sums` takes the statistics better, and the
kernel only normalizes by them. Of few rows the kernel's are as good as any while no mean is far from 0; the sum of x
rounds at |x|. Batch normalization does not see a shift; so where the kernel finds the mean of some channel far from 0,
it runs again with that mean taken off.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from kerasbn.library import Correction, Tensor
from kerasbn.tensorflow import choice, kernel, sums
from kerasbn.tensorflow.choice import FEW

FAR = 30.0
"""|mean|/sigma above which the rounding of the kernel's mean shows in float32, of up to `FEW` rows."""
Outputs = tuple[Tensor, Tensor, Tensor]
"""Outputs, mean and population variance; or the gradients of x, gamma and beta."""
Gradient = Callable[[Tensor, Tensor], Outputs]
"""From dy and gamma."""


class Form(NamedTuple):
    """How inputs are laid out at rank 4, and who takes their statistics.

    Attributes:
        data_format: Where the channels are.
        many: Whether statistics are best taken by `kerasbn.tensorflow.sums`, which knows float32 with channels last.
        width: How many columns each channel has, side by side on the last axis; of more than one only if ``many``.
    """

    data_format: str = "NHWC"
    many: bool = False
    width: int = 1


def training(x: Tensor, form: Form, gamma: Tensor, beta: Tensor, epsilon: float) -> Outputs:
    """Normalizes with the statistics of the batch, which carry no gradient; not for XLA.

    Args:
        x: Of rank 4.
        form: The layout of ``x``.
        gamma: Of shape (channels,), in float32.
        beta: The same.
        epsilon: Added to the variance.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def normalized(x: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Outputs, Callable[..., Outputs]]:
        if form.many:
            batch = _of_many(x, epsilon, form.width)
            outputs = batch.outputs(gamma, beta), batch.mean, batch.variance
            return outputs, lambda dy, *_: batch.gradient(dy, gamma)
        found, gradient = _run(x, gamma, beta, epsilon, form.data_format)
        return found[:3], lambda dy, *_: gradient(dy, gamma)

    return normalized(x, gamma, beta)  # type: ignore[no-any-return]


def corrected(x: Tensor, form: Form, gamma: Tensor, beta: Tensor, epsilon: float, correction: Correction) -> Outputs:
    """As `training`, but ``y = gamma * (x_hat * r + d) + beta`` with (r, d) from mean and variance.

    No gradient passes through r and d, so the gradient is the kernel's, with ``gamma * r`` for gamma. They are taken
    outside of the custom gradient: TensorFlow drops the order of what is read inside and what is assigned behind it.
    """
    fixed = tf.stop_gradient(x)
    batch = _of_many(fixed, epsilon, form.width) if form.many else _of_few(fixed, epsilon, form.data_format)
    r, d = correction(batch.mean, batch.variance)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def normalized(_: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Callable[[Tensor], Outputs]]:
        return batch.outputs(scale, shift), lambda dy: batch.gradient(dy, scale)

    return normalized(x, gamma * r, gamma * d + beta), batch.mean, batch.variance


def statistics(rows: Tensor, epsilon: float, many: bool) -> tuple[Tensor, Tensor]:
    """Mean and population variance; of no rows they may be NaN."""
    images = rows[:, tf.newaxis, tf.newaxis, :]
    batch = _of_many(tf.cast(images, "float32"), epsilon) if many else _of_few(images, epsilon, "NHWC")
    return batch.mean, batch.variance


class _Batch(NamedTuple):
    """Statistics, and what is made of them: outputs from gamma and beta, gradients from dy and gamma."""

    mean: Tensor
    variance: Tensor
    outputs: Callable[[Tensor, Tensor], Tensor]
    gradient: Gradient


def _of_many(x: Tensor, epsilon: float, width: int = 1) -> _Batch:
    """By `kerasbn.tensorflow.sums`, where what the kernel reserves for its gradient is mean and variance: on a CPU."""
    near = sums.centered(x, epsilon, width)
    mean, variance = sums.of_columns(near.rest, width), sums.of_columns(near.variance, width)

    def outputs(gamma: Tensor, beta: Tensor) -> Tensor:
        gamma, beta = sums.of_columns(gamma, width), sums.of_columns(beta, width)
        return kernel.inference(near.x, gamma, beta, mean, variance, epsilon)

    def gradient(dy: Tensor, gamma: Tensor) -> Outputs:
        if width > 1:
            return _gradient_of_columns(dy, near, gamma, epsilon, width)
        return kernel.gradient(dy, near.x, gamma, (mean, variance, tf.zeros((0,))), epsilon)

    return _Batch(near.mean, near.variance, outputs, gradient)


def _gradient_of_columns(dy: Tensor, near: sums.Centered, gamma: Tensor, epsilon: float, width: int) -> Outputs:
    """``dx = gamma / sigma * (dy - (sum(dy) + x_hat * sum(dy * x_hat)) / m)``, the sums over a channel's columns.

    The kernel does not know of columns: it gives ``gamma / sigma * dy`` and the sums for each. What they take off is
    linear in x, as its inference is.
    """
    mean, variance = sums.of_columns(near.rest, width), sums.of_columns(near.variance, width)
    reserved = mean, variance, tf.zeros((0,))
    by_column = sums.of_columns(gamma, width)
    direct, *found = kernel.gradient(dy, near.x, by_column, reserved, epsilon, is_training=False)
    dgamma, dbeta = (sums.of_channels(each, width) for each in found)
    m = tf.cast(tf.maximum(tf.size(dy) // gamma.shape[0], 1), "float32")
    scale = gamma * tf.math.rsqrt(near.variance + epsilon) / m
    slope, offset = sums.of_columns(scale * dgamma, width), sums.of_columns(scale * dbeta, width)
    return direct - kernel.inference(near.x, slope, offset, mean, variance, epsilon), dgamma, dbeta


def _of_few(x: Tensor, epsilon: float, data_format: str) -> _Batch:
    """By the kernel."""
    channels = x.shape[3 if data_format == "NHWC" else 1]
    one, zero = tf.ones((channels,)), tf.zeros((channels,))
    found, gradient = _run(x, one, zero, epsilon, data_format)

    def outputs(gamma: Tensor, beta: Tensor) -> Tensor:
        if x.dtype == tf.float32:
            return kernel.inference(found.y, gamma, beta, zero, one, 0.0, data_format)
        # Rounding x_hat once more would show.
        return kernel.inference(x, gamma, beta, found.mean, found.variance, epsilon, data_format)

    return _Batch(found.mean, found.variance, outputs, gradient)


def _run(
    x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, data_format: str
) -> tuple[kernel.Normalized, Gradient]:
    """The kernel in training, and its gradient."""
    if x.dtype != tf.float32:  # The inputs are coarser than the sum.
        near = kernel.training(x, gamma, beta, epsilon, data_format)
        return near, lambda dy, gamma: kernel.gradient(dy, x, gamma, near.saved, epsilon, data_format)
    run = _centered if tf.executing_eagerly() else _function(tuple(x.shape), epsilon, data_format)
    fixed, scale, shift = (tf.stop_gradient(each) for each in (x, gamma, beta))
    batch, centered = run(fixed, scale, shift, epsilon, data_format)
    return batch, lambda dy, gamma: kernel.gradient(dy, centered, gamma, batch.saved, epsilon, data_format)


@functools.cache
def _function(shape: tuple[int | None, ...], epsilon: float, data_format: str) -> Callable[..., Any]:
    """`_centered`, once for all layers: of its own in each, it would take a megabyte for a layer's graph."""
    channels = shape[3 if data_format == "NHWC" else 1]
    signature = [tf.TensorSpec(each) for each in (shape, (channels,), (channels,))]
    run = tf.function(
        lambda x, gamma, beta: _centered(x, gamma, beta, epsilon, data_format),
        input_signature=signature, autograph=False,
    )  # fmt: skip
    return lambda x, gamma, beta, *_: run(x, gamma, beta)


def _centered(
    x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, data_format: str
) -> tuple[kernel.Normalized, Tensor]:
    """The kernel in training, and the inputs, less their means if some channel's is far from 0."""
    near = kernel.training(x, gamma, beta, epsilon, data_format)
    far = tf.reduce_any(tf.square(near.mean) > _far(x, data_format) ** 2 * (near.variance + epsilon))

    def again() -> tuple[kernel.Normalized, Tensor]:
        centered = _less(x, near.mean, data_format)
        found = kernel.training(centered, gamma, beta, epsilon, data_format)
        return found._replace(mean=found.mean + near.mean), centered

    return tf.cond(far, again, lambda: (near, x))  # type: ignore[no-any-return]


def _far(x: Tensor, data_format: str) -> float:
    """`FAR` for this number of rows, with whose root the rounding grows."""
    rows = choice.count(x.shape, (0, 1, 2) if data_format == "NHWC" else (0, 2, 3))
    return FAR / math.sqrt(max(rows / FEW, 1))


def _less(x: Tensor, offset: Tensor, data_format: str) -> Tensor:
    return x - tf.reshape(offset, (1, -1, 1, 1) if data_format == "NCHW" else (-1,))
