"""Batch normalization of masked inputs, in few passes over them.

Only what the mask keeps counts towards the statistics; every element is normalized. With m elements kept,

    dx = gamma / sigma * (dy - kept * (sum(dy) + x_hat * sum(dy * x_hat)) / m)

where the sums are over every element and sigma is ``sqrt(variance + epsilon)``.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from kerasbn import centering, kernel
from kerasbn.library import Tensor

Statistics = tuple[Tensor, Tensor, Tensor]
"""Mean, population variance, and how many elements each was taken over."""


def training(
    x: Tensor, mask: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, many: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Outputs, mean, population variance and count; the statistics carry no gradient.

    Args:
        x: Of shape (rows, channels).
        mask: True for what counts, of shape (rows, 1) or (rows, channels).
        gamma: Of shape (channels,), in float32.
        beta: The same.
        epsilon: Added to the variance.
        many: As `kerasbn.centering.training` takes it.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def normalized(x: Tensor, gamma: Tensor, beta: Tensor) -> tuple[tuple[Tensor, ...], Callable[..., Statistics]]:
        images = x[:, tf.newaxis, tf.newaxis, :]
        kept = mask[:, tf.newaxis, tf.newaxis, :]
        mean, variance, count = _of_rows(x, mask, epsilon, many) if mask.shape[-1] == 1 else _of_each(x, mask)
        divisor = tf.maximum(count, 1.0)

        def gradient(dy: Tensor, *_: Tensor) -> Statistics:
            reserved = mean, variance, tf.zeros((0,))
            dy = dy[:, tf.newaxis, tf.newaxis, :]
            dx, dgamma, dbeta = kernel.gradient(dy, images, gamma, reserved, epsilon, is_training=False)
            through = kernel.inference(
                images, gamma * dgamma / divisor, gamma * dbeta / divisor, mean, variance, epsilon
            )
            through = through * tf.cast(tf.math.rsqrt(variance + epsilon), through.dtype)
            return tf.reshape(tf.where(kept, dx - through, dx), tf.shape(x)), dgamma, dbeta

        y = kernel.inference(images, gamma, beta, mean, variance, epsilon)
        return (tf.reshape(y, tf.shape(x)), mean, variance, count), gradient

    return normalized(x, gamma, beta)  # type: ignore[no-any-return]


def _of_rows(x: Tensor, mask: Tensor, epsilon: float, many: bool) -> Statistics:
    """Of the rows that are kept, put together: then what was left out, whatever it is, is out of the way."""
    kept = tf.gather(x, tf.where(mask[:, 0])[:, 0])
    count = tf.cast(tf.shape(kept)[0], "float32")
    found = centering.statistics(kept, epsilon, many)
    mean, variance = (tf.math.multiply_no_nan(each, tf.sign(count)) for each in found)
    return mean, variance, count


def _of_each(x: Tensor, mask: Tensor) -> Statistics:
    """Of the elements that are kept, which may be other ones in each channel."""
    x = tf.cast(x, "float32")
    nothing, count = tf.zeros_like(x), tf.reduce_sum(tf.cast(mask, "float32"), 0)
    divisor = tf.maximum(count, 1.0)
    mean = tf.reduce_sum(tf.where(mask, x, nothing), 0) / divisor
    return mean, tf.reduce_sum(tf.square(tf.where(mask, x - mean, nothing)), 0) / divisor, count
