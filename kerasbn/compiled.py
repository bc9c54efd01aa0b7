"""Batch normalization for XLA where its expansion of the fused operation is slow: four passes over the data.

With the mean of a sample taken off first, one pass gives both statistics: ``E[d²] - E[d]²`` of ``d = x - rough``. Then

    dx = gamma / sigma * (dy - (sum(dy) + x_hat * sum(dy * x_hat)) / m)
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from kerasbn.centering import Outputs, rough_mean
from kerasbn.library import Tensor


def training(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> Outputs:
    """Outputs in float32, mean and unbiased variance; the statistics carry no gradient.

    Args:
        x: Of shape (outer, channels, inner).
        gamma: Of shape (channels,), in float32.
        beta: The same.
        epsilon: Added to the variance.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def normalized(x: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Outputs, Callable[..., Outputs]]:
        count = tf.cast(tf.size(x) // tf.size(gamma), "float32")
        m = tf.maximum(count, 1.0)
        rough = rough_mean(x[..., tf.newaxis], "NCHW")[:, tf.newaxis]
        near = x - rough
        mean, squares = _sum(near) / m, _sum(tf.square(near)) / m
        variance = tf.maximum(squares - tf.square(mean), 0.0)
        inverse = tf.math.rsqrt(variance + epsilon)
        scale = inverse * gamma[:, tf.newaxis]
        y = (near - mean) * scale + beta[:, tf.newaxis]

        def gradient(dy: Tensor, *_: Tensor) -> Outputs:
            hat = (near - mean) * inverse
            dbeta, dgamma = _sum(dy), _sum(dy * hat)
            return scale * (dy - (dbeta + hat * dgamma) / m), tf.squeeze(dgamma, -1), tf.squeeze(dbeta, -1)

        unbiased = variance * (m / tf.maximum(count - 1.0, 1.0))
        return (y, tf.squeeze(mean + rough, -1), tf.squeeze(unbiased, -1)), gradient

    return normalized(tf.cast(x, "float32"), gamma, beta)  # type: ignore[no-any-return]


def _sum(x: Tensor) -> Tensor:
    """Per channel, of shape (channels, 1)."""
    return tf.reduce_sum(x, [0, 2])[:, tf.newaxis]
