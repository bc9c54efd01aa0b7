"""TensorFlow's fused kernel, for every rank.

``FusedBatchNormV3`` knows ranks 4 and 5. Averaging needs no geometry, so every other input is reshaped to
rank 4 around its channel axis: ``(..., C)`` to ``(-1, 1, 1, C)`` and ``(outer, C, inner...)`` to
``(outer, C, inner, 1)``. A reshape copies nothing.
"""

from __future__ import annotations

import math

import tensorflow as tf

# There is no public name for this question.
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

from kerasbn.layout import Layout
from kerasbn.library import Tensor
from kerasbn.tensorflow_ops import shape

FAR = 30.0
"""|mean|/sigma above which the rounding of the mean shows in float32."""
SAMPLE = 16
"""Rows that are enough to see that."""


def accepts(layout: Layout, dtype: str) -> bool:
    """Whether the kernel takes such an input."""
    return layout.contiguous and dtype in ("float16", "bfloat16", "float32")


def training(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, layout: Layout) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs, mean and unbiased variance (divided by ``max(count - 1, 1)``)."""
    rank4, data_format = _rank4(x, layout)
    near, offset = _centered(rank4, epsilon, data_format)
    outputs, mean, variance = _kernel(near, gamma, beta, epsilon, data_format)
    return tf.cast(_like(outputs, x, layout), x.dtype), mean + offset, variance


def _kernel(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, data_format: str) -> tuple[Tensor, Tensor, Tensor]:
    nothing = tf.zeros((0,), gamma.dtype)
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=nothing, variance=nothing,
        epsilon=epsilon, exponential_avg_factor=1.0, data_format=data_format, is_training=True,
    )  # fmt: skip
    return outputs, mean, variance


def _centered(x: Tensor, epsilon: float, data_format: str) -> tuple[Tensor, Tensor]:
    """The input less a rough mean per channel where the kernel needs that, and what was taken off.

    The kernel's sum of x rounds at |x|, which at |mean|/sigma = 1e4 is an error of 0.06 sigma in the mean of a batch
    of images. XLA's takes the variance as E[x²] - E[x]² besides, and loses it altogether. Batch normalization does
    not see a shift; so where some channel's mean is far from 0, the mean of a sample is taken off first.
    """
    nothing = tf.zeros((shape(x)[3 if data_format == "NHWC" else 1],), "float32")
    xla = GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())
    if not xla and x.dtype != tf.float32:
        return x, nothing  # The inputs themselves are coarser than the sum.
    mean, mean_of_squares = _rough_moments(x, data_format)

    def shifted() -> tuple[Tensor, Tensor]:
        along = (1, -1, 1, 1) if data_format == "NCHW" else (-1,)
        return tf.cast(x, "float32") - tf.reshape(mean, along), mean

    if xla:
        return shifted()  # It costs nothing where the compiler fuses it.
    # mean² > FAR² * (variance + epsilon)
    far = tf.reduce_any(tf.square(mean) * (1 + FAR**2) > (mean_of_squares + epsilon) * FAR**2)
    near, offset = tf.cond(far, shifted, lambda: (x, nothing))
    return near, offset


def _rough_moments(x: Tensor, data_format: str) -> tuple[Tensor, Tensor]:
    """The mean of x and of x² for each channel, from a sample of the input."""
    if data_format == "NHWC":
        rows = tf.reshape(x, (-1, shape(x)[-1]))
        sample, axes = rows[:: tf.maximum(tf.shape(rows)[0] // SAMPLE, 1)], [0]
    else:
        outer, inner = (tf.maximum(tf.shape(x)[axis] // math.isqrt(SAMPLE), 1) for axis in (0, 2))
        sample, axes = x[::outer, :, ::inner, 0], [0, 2]
    sample = tf.stop_gradient(tf.cast(sample, "float32"))
    return tf.reduce_mean(sample, axes), tf.reduce_mean(tf.square(sample), axes)


def inference(x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor, epsilon: float) -> Tensor:
    """Outputs from given statistics."""
    outputs, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=mean, variance=variance,
        epsilon=epsilon, is_training=False,
    )  # fmt: skip
    return outputs


def infers(layout: Layout) -> bool:
    """Whether `inference` takes such an input: images with channels last.

    Elsewhere reshapes and transposes would hide the layer from converters.
    """
    return _native(layout) and layout.trailing


def _native(layout: Layout) -> bool:
    return layout.rank == 4 and layout.axes in ((1,), (3,))


def _rank4(x: Tensor, layout: Layout) -> tuple[Tensor, str]:
    data_format = "NHWC" if layout.trailing else "NCHW"
    if _native(layout):
        return x, data_format
    if layout.trailing:
        return tf.reshape(x, (-1, 1, 1, layout.channels)), data_format
    sizes = shape(x)
    outer, inner = sizes[: layout.axes[0]], sizes[layout.axes[-1] + 1 :]
    return tf.reshape(x, (math.prod(outer), layout.channels, math.prod(inner), 1)), data_format


def _like(y: Tensor, x: Tensor, layout: Layout) -> Tensor:
    return y if _native(layout) else tf.ensure_shape(tf.reshape(y, shape(x)), x.shape)
