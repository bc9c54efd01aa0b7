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


def accepts(layout: Layout, dtype: str) -> bool:
    """Whether the kernel takes such an input."""
    return layout.contiguous and dtype in ("float16", "bfloat16", "float32")


def training(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, layout: Layout) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs, mean and unbiased variance (divided by ``max(count - 1, 1)``)."""
    rank4, data_format = _rank4(x, layout)
    kernel = _centered if GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()) else _kernel
    outputs, mean, variance = kernel(rank4, gamma, beta, epsilon, data_format)
    return _like(outputs, x, layout), mean, variance


def _kernel(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, data_format: str) -> tuple[Tensor, Tensor, Tensor]:
    nothing = tf.zeros((0,), gamma.dtype)
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=nothing, variance=nothing,
        epsilon=epsilon, exponential_avg_factor=1.0, data_format=data_format, is_training=True,
    )  # fmt: skip
    return outputs, mean, variance


def _centered(
    x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, data_format: str
) -> tuple[Tensor, Tensor, Tensor]:
    """The kernel on ``x - mean``, for XLA.

    XLA takes the variance as E[x²] - E[x]², which at |mean|/sigma = 1e4 is all rounding error in float32.
    """
    axes = (0, 1, 2) if data_format == "NHWC" else (0, 2, 3)
    wide = tf.cast(x, gamma.dtype)
    center = tf.stop_gradient(tf.reduce_mean(wide, axes, keepdims=True))
    outputs, mean, variance = _kernel(wide - center, gamma, beta, epsilon, data_format)
    return tf.cast(outputs, x.dtype), mean + tf.reshape(center, (-1,)), variance


def inference(
    x: Tensor, gamma: Tensor, beta: Tensor, mean: Tensor, variance: Tensor, epsilon: float, layout: Layout
) -> Tensor:
    """Outputs from given statistics."""
    outputs, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=mean, variance=variance,
        epsilon=epsilon, data_format="NHWC" if layout.trailing else "NCHW", is_training=False,
    )  # fmt: skip
    return outputs


def infers(layout: Layout) -> bool:
    """Whether `inference` takes such an input: images. Elsewhere the reshape would hide the layer from converters."""
    return _native(layout)


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
