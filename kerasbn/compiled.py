"""Batch normalization for XLA where its expansion of the fused operation is slow."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from kerasbn.centering import Outputs
from kerasbn.library import Tensor


def of_rows(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> Outputs:
    """Outputs in float32, mean and population variance; the statistics carry no gradient.

    The first row is taken off, so that no sum rounds at a mean that is far from 0; XLA does it within each pass. The
    gradient is ``dx = gamma / sigma * (dy - (sum(dy) + x_hat * sum(dy * x_hat)) / m)``.

    Args:
        x: Of shape (rows, channels).
        gamma: Of shape (channels,), in float32.
        beta: The same.
        epsilon: Added to the variance.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def normalized(x: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Outputs, Callable[..., Outputs]]:
        m = tf.maximum(tf.cast(tf.shape(x)[0], "float32"), 1.0)
        near = x - x[:1]
        mean = tf.reduce_sum(near, 0) / m
        variance = tf.reduce_sum(tf.square(near - mean), 0) / m
        inverse = tf.math.rsqrt(variance + epsilon)
        scale = inverse * gamma

        def gradient(dy: Tensor, *_: Tensor) -> Outputs:
            hat = (near - mean) * inverse
            dbeta, dgamma = tf.reduce_sum(dy, 0), tf.reduce_sum(dy * hat, 0)
            return scale * (dy - (dbeta + hat * dgamma) / m), dgamma, dbeta

        return ((near - mean) * scale + beta, mean + tf.reduce_sum(x[:1], 0), variance), gradient

    return normalized(tf.cast(x, "float32"), gamma, beta)  # type: ignore[no-any-return]


def along(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> Outputs:
    """As `of_rows`, for ``x`` of shape (outer, channels, inner).

    In as many passes, and with the same rounding, as Keras' own layer: XLA makes no fewer of any other formula.
    """
    x = tf.cast(x, "float32")
    mean = tf.reduce_mean(x, [0, 2], keepdims=True)
    variance = tf.reduce_mean(tf.math.squared_difference(x, tf.stop_gradient(mean)), [0, 2], keepdims=True)
    y = tf.nn.batch_normalization(x, mean, variance, beta[:, tf.newaxis], gamma[:, tf.newaxis], epsilon)
    return y, tf.squeeze(mean, [0, 2]), tf.squeeze(variance, [0, 2])
