"""Batch normalization of masked inputs, in few passes over them.

Only what the mask keeps counts towards the statistics; every element is normalized. With m elements kept,

    dx = gamma / sigma * (dy - kept * (sum(dy) + x_hat * sum(dy * x_hat)) / m)

where the sums are over every element and sigma is ``sqrt(variance + epsilon)``.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from kerasbn.library import Tensor
from kerasbn.tensorflow import centering, kernel
from kerasbn.tensorflow.sums import of_channels, of_columns

Statistics = tuple[Tensor, Tensor, Tensor]
"""Mean, population variance, and how many elements each was taken over."""


def training(
    x: Tensor, mask: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, *, many: bool = False, width: int = 1
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Outputs, mean, population variance and count; the statistics carry no gradient.

    Args:
        x: Of shape (rows, channels * width).
        mask: True for what counts, of the shape of ``x``; or (rows, 1).
        gamma: Of shape (channels,), in float32.
        beta: The same.
        epsilon: Added to the variance.
        many: See `kerasbn.tensorflow.centering.Form`.
        width: The same.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def normalized(x: Tensor, gamma: Tensor, beta: Tensor) -> tuple[tuple[Tensor, ...], Callable[..., Statistics]]:
        images = x[:, tf.newaxis, tf.newaxis, :]
        kept = mask[:, tf.newaxis, tf.newaxis, :]
        of_rows = mask.shape[-1] == 1
        mean, variance, count = _of_rows(x, mask, epsilon, many) if of_rows else _of_each(x, mask, width)
        divisor = tf.maximum(count, 1.0)
        of = of_columns(mean, width), of_columns(variance, width)

        def gradient(dy: Tensor, *_: Tensor) -> Statistics:
            dy, by_column = dy[:, tf.newaxis, tf.newaxis, :], of_columns(gamma, width)
            dx, *sums = kernel.gradient(dy, images, by_column, (*of, tf.zeros((0,))), epsilon, is_training=False)
            dgamma, dbeta = (of_channels(each, width) for each in sums)
            slope, offset = (of_columns(gamma * each / divisor, width) for each in (dgamma, dbeta))
            through = kernel.inference(images, slope, offset, *of, epsilon)
            through = through * tf.cast(tf.math.rsqrt(of[1] + epsilon), through.dtype)
            return tf.reshape(tf.where(kept, dx - through, dx), tf.shape(x)), dgamma, dbeta

        y = kernel.inference(images, of_columns(gamma, width), of_columns(beta, width), *of, epsilon)
        return (tf.reshape(y, tf.shape(x)), mean, variance, count), gradient

    return normalized(x, gamma, beta)  # type: ignore[no-any-return]


def _of_rows(x: Tensor, mask: Tensor, epsilon: float, many: bool) -> Statistics:
    """Of the rows that are kept, put together: then what was left out, whatever it is, is out of the way."""
    kept = tf.gather(x, tf.where(mask[:, 0])[:, 0])
    count = tf.cast(tf.shape(kept)[0], "float32")
    found = centering.statistics(kept, epsilon, many)
    mean, variance = (tf.math.multiply_no_nan(each, tf.sign(count)) for each in found)
    return mean, variance, count


def _of_each(x: Tensor, mask: Tensor, width: int) -> Statistics:
    """Of the elements that are kept, which may be other ones in each channel."""
    x = tf.cast(x, "float32")
    nothing, count = tf.zeros_like(x), of_channels(tf.reduce_sum(tf.cast(mask, "float32"), 0), width)
    divisor = tf.maximum(count, 1.0)
    mean = of_channels(tf.reduce_sum(tf.where(mask, x, nothing), 0), width) / divisor
    squares = tf.reduce_sum(tf.square(tf.where(mask, x - of_columns(mean, width), nothing)), 0)
    return mean, of_channels(squares, width) / divisor, count
