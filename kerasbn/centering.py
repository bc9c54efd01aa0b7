"""Inputs brought near 0 where the fused kernel would take their statistics in float32 too coarsely.

The kernel's sum of x rounds at |x|, which at |mean|/sigma = 1e4 is an error of 0.06 sigma in the mean of a batch of
images. Batch normalization does not see a shift; so where the kernel finds the mean of some channel far from 0, it runs
again with that mean taken off. XLA's takes the variance as E[x²] - E[x]², and loses it altogether; there the mean of a
sample is taken off first, always.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

# There is no public name for this question.
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

from kerasbn import kernel
from kerasbn.library import Correction, Tensor
from kerasbn.tensorflow_ops import shape

FAR = 30.0
"""|mean|/sigma above which the rounding of the mean shows in float32."""
SAMPLE = 16
"""Rows that are enough for a rough mean."""
Outputs = tuple[Tensor, Tensor, Tensor]
"""Outputs, mean and unbiased variance; or the gradients of x, gamma and beta."""
Gradient = Callable[[Tensor, Tensor], Outputs]


def in_xla() -> bool:
    """Whether what is traced now is for XLA."""
    return bool(GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))


def training(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, data_format: str = "NHWC") -> Outputs:
    """Normalizes with the statistics of the batch, which carry no gradient; the outputs are at least float32 in XLA."""
    if in_xla():
        offset = rough_mean(tf.stop_gradient(x), data_format)
        near = kernel.training(_less(tf.cast(x, "float32"), offset, data_format), gamma, beta, epsilon, data_format)
        return near.y, near.mean + offset, near.variance

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def normalized(x: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Outputs, Callable[..., Outputs]]:
        batch, gradient = _run(x, gamma, beta, epsilon, data_format)
        return batch[:3], lambda dy, *_: gradient(dy, gamma)

    return normalized(x, gamma, beta)  # type: ignore[no-any-return]


def corrected(
    x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, data_format: str, correction: Correction
) -> Outputs:
    """As `training`, outside of XLA, but ``y = gamma * (x_hat * r + d) + beta`` with (r, d) from mean and variance.

    No gradient passes through r and d, so the gradient is the kernel's, with ``gamma * r`` for gamma. They are taken
    outside of the custom gradient: TensorFlow drops the order of what is read inside and what is assigned behind it.
    """
    one, zero = tf.ones_like(gamma), tf.zeros_like(gamma)
    batch, gradient = _run(tf.stop_gradient(x), one, zero, epsilon, data_format)
    r, d = correction(batch.mean, batch.variance)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def normalized(x: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Callable[[Tensor], Outputs]]:
        if x.dtype == tf.float32:
            y = kernel.inference(batch.y, scale, shift, zero, one, 0.0, data_format)
        else:  # Rounding x_hat once more would show.
            y = kernel.inference(x, scale, shift, batch.mean, batch.reserved[1], epsilon, data_format)
        return y, lambda dy: gradient(dy, scale)

    return normalized(x, gamma * r, gamma * d + beta), batch.mean, batch.variance


def _run(
    x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, data_format: str
) -> tuple[kernel.Normalized, Gradient]:
    """The kernel in training, and its gradient as a function of dy and gamma."""
    near = kernel.training(x, gamma, beta, epsilon, data_format)
    if x.dtype != tf.float32:  # The inputs are coarser than the sum.
        return near, lambda dy, gamma: kernel.gradient(dy, x, gamma, near.reserved, epsilon, data_format)
    far = tf.reduce_any(tf.square(near.mean) > FAR**2 * (near.variance + epsilon))

    def again() -> kernel.Normalized:
        found = kernel.training(_less(x, near.mean, data_format), gamma, beta, epsilon, data_format)
        return found._replace(mean=found.mean + near.mean)

    batch = tf.cond(far, again, lambda: near)

    def gradient(dy: Tensor, gamma: Tensor) -> Outputs:
        def of(x: Tensor) -> Outputs:
            return kernel.gradient(dy, x, gamma, batch.reserved, epsilon, data_format)

        return tf.cond(far, lambda: of(_less(x, near.mean, data_format)), lambda: of(x))  # type: ignore[no-any-return]

    return batch, gradient


def _less(x: Tensor, offset: Tensor, data_format: str) -> Tensor:
    return x - tf.reshape(offset, (1, -1, 1, 1) if data_format == "NCHW" else (-1,))


def rough_mean(x: Tensor, data_format: str) -> Tensor:
    """The mean for each channel of a sample of the input."""
    if data_format == "NHWC":
        rows = tf.reshape(x, (-1, shape(x)[-1]))
        sample, axes = rows[:: _stride(rows, 0, SAMPLE)], [0]
    else:
        outer, inner = (_stride(x, axis, math.isqrt(SAMPLE)) for axis in (0, 2))
        sample, axes = x[::outer, :, ::inner, 0], [0, 2]
    return tf.reduce_mean(tf.cast(sample, "float32"), axes)


def _stride(x: Tensor, axis: int, samples: int) -> Tensor:
    size = shape(x)[axis]
    return max(size // samples, 1) if isinstance(size, int) else tf.maximum(size // samples, 1)
