"""TensorFlow's fused kernel, for every rank.

``FusedBatchNormV3`` knows ranks 4 and 5. Averaging needs no geometry, so every other input is reshaped to
rank 4 around its channel axis: ``(..., C)`` to ``(-1, 1, 1, C)``, which copies nothing, and ``(outer, C, inner...)`` to
``(outer, C, inner, 1)``, which is transposed on a CPU.
"""

from __future__ import annotations

import math

import tensorflow as tf

from kerasbn import masking
from kerasbn.centering import centered, in_xla
from kerasbn.layout import Layout
from kerasbn.library import Tensor
from kerasbn.tensorflow_ops import reshape, shape


def accepts(layout: Layout, dtype: str) -> bool:
    """Whether the kernel takes such an input."""
    if in_xla() and not layout.trailing:
        return False  # There it is slower than plain operations.
    return layout.contiguous and dtype in ("float16", "bfloat16", "float32")


def training(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, layout: Layout) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs, mean and unbiased variance (divided by ``max(count - 1, 1)``)."""
    rank4, data_format = _rank4(x, layout)
    near, offset = centered(rank4, epsilon, data_format)
    outputs, mean, variance = _kernel(near, gamma, beta, epsilon, data_format)
    mean = mean if offset is None else mean + offset
    return tf.cast(_like(outputs, x, layout), x.dtype), mean, variance


def takes_mask() -> bool:
    """Whether there is `masked`: under XLA plain operations are as fast, and shapes must be known."""
    return not in_xla()


def masked(
    x: Tensor, mask: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, layout: Layout
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Outputs, mean, population variance and count."""
    order = [*layout.reduction_axes, *layout.axes]
    back = sorted(range(layout.rank), key=order.__getitem__)
    apart = x if layout.trailing else tf.transpose(x, order)
    by_row = layout.axes == (layout.rank - 1,)
    kept = mask if by_row else tf.transpose(tf.broadcast_to(mask, tf.shape(x)), order)
    rows = tf.reshape(apart, (-1, layout.channels)), tf.reshape(kept, (-1, 1 if by_row else layout.channels))
    y, *found = masking.training(*rows, gamma, beta, epsilon)
    y = tf.reshape(y, tf.shape(apart))
    return tf.ensure_shape(y if layout.trailing else tf.transpose(y, back), x.shape), *found


def _kernel(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, data_format: str) -> tuple[Tensor, Tensor, Tensor]:
    nothing = tf.zeros((0,), gamma.dtype)
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=nothing, variance=nothing,
        epsilon=epsilon, exponential_avg_factor=1.0, data_format=data_format, is_training=True,
    )  # fmt: skip
    return outputs, mean, variance


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
    if layout.trailing:
        as_it_is = _native(layout) and not in_xla()  # XLA sums over one axis up to three times as fast as over three.
        return x if as_it_is else tf.reshape(x, (-1, 1, 1, layout.channels)), "NHWC"
    sizes = shape(x)
    outer, inner = sizes[: layout.axes[0]], sizes[layout.axes[-1] + 1 :]
    first = tf.reshape(x, (math.prod(outer), layout.channels, math.prod(inner), 1))
    if _takes_channels_first():
        return first, "NCHW"
    first = tf.cast(first, "float32") if x.dtype == tf.float16 else first  # Transposing float16 is slower than that.
    return tf.transpose(first, (0, 2, 3, 1)), "NHWC"


def _takes_channels_first() -> bool:
    """Whether the kernel is as fast with the channels first: on a CPU it transposes, and slower than `tf.transpose`."""
    return bool(tf.config.list_physical_devices("GPU"))


def _like(y: Tensor, x: Tensor, layout: Layout) -> Tensor:
    if not layout.trailing and not _takes_channels_first():
        y = tf.transpose(y, (0, 3, 1, 2))
    y = reshape(y, shape(x))
    return y if y.shape.is_fully_defined() else tf.ensure_shape(y, x.shape)
