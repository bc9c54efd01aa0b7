"""Inputs brought near 0 before the fused kernel takes their statistics in float32.

The kernel's sum of x rounds at |x|, which at |mean|/sigma = 1e4 is an error of 0.06 sigma in the mean of a batch of
images. XLA's takes the variance as E[x²] - E[x]² besides, and loses it altogether. Batch normalization does not see a
shift; so where some channel's mean is far from 0, the mean of a sample is taken off first.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

# There is no public name for this question.
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

from kerasbn.library import Tensor
from kerasbn.tensorflow_ops import shape

FAR = 30.0
"""|mean|/sigma above which the rounding of the mean shows in float32."""
SAMPLE = 16
"""Rows that are enough to see that."""


def in_xla() -> bool:
    """Whether what is traced now is for XLA."""
    return bool(GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))


def centered(x: Tensor, epsilon: float, data_format: str) -> tuple[Tensor, Tensor | None]:
    """The input less a rough mean per channel where the kernel needs that, and what was taken off, if anything."""
    along = (1, -1, 1, 1) if data_format == "NCHW" else (-1,)
    if in_xla():
        mean, _ = _rough_moments(tf.stop_gradient(x), data_format)
        return tf.cast(x, "float32") - tf.reshape(mean, along), mean  # It costs nothing where the compiler fuses it.
    if x.dtype != tf.float32:
        return x, None  # The inputs themselves are coarser than the sum.

    # The gradient of `tf.cond` is another one; that of a shift by a constant, or by none, is 1.
    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def near(x: Tensor) -> tuple[tuple[Tensor, Tensor], Callable[[Tensor, Tensor], Tensor]]:
        mean, mean_of_squares = _rough_moments(x, data_format)
        # mean² > FAR² * (variance + epsilon)
        far = tf.reduce_any(tf.square(mean) > (mean_of_squares + epsilon) * (FAR**2 / (1 + FAR**2)))
        found = tf.cond(far, lambda: (x - tf.reshape(mean, along), mean), lambda: (x, tf.zeros_like(mean)))
        return found, lambda gradient, _: gradient

    return near(x)  # type: ignore[no-any-return]


def _rough_moments(x: Tensor, data_format: str) -> tuple[Tensor, Tensor]:
    """The mean of x and of x² for each channel, from a sample of the input."""
    if data_format == "NHWC":
        rows = tf.reshape(x, (-1, shape(x)[-1]))
        sample, axes = rows[:: _stride(rows, 0, SAMPLE)], [0]
    else:
        outer, inner = (_stride(x, axis, math.isqrt(SAMPLE)) for axis in (0, 2))
        sample, axes = x[::outer, :, ::inner, 0], [0, 2]
    sample = tf.cast(sample, "float32")
    return tf.reduce_mean(sample, axes), tf.reduce_mean(tf.square(sample), axes)


def _stride(x: Tensor, axis: int, samples: int) -> Tensor:
    size = shape(x)[axis]
    return max(size // samples, 1) if isinstance(size, int) else tf.maximum(size // samples, 1)
