"""Batch normalization by its formula, in few operations; not for XLA, which has `kerasbn.tensorflow.compiled`.

With m elements for each channel, sigma = ``sqrt(variance + epsilon)`` and x_hat = ``(x - mean) / sigma``,

    y  = gamma * x_hat + beta
    dx = gamma / sigma * (dy - (sum(dy) + x_hat * sum(dy * x_hat)) / m)

The first row is taken off before the mean is, so that no sum rounds at a mean that is far from 0. It is within
``sqrt(m)`` sigma of the mean, being one of m elements. What is kept for the gradient is x_hat; x is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import tensorflow as tf

from kerasbn.layout import Layout
from kerasbn.library import Correction, Tensor
from kerasbn.tensorflow import choice

Outputs = tuple[Tensor, Tensor, Tensor]
"""Outputs, mean and population variance; or the gradients of x, gamma and beta."""


def training(
    x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float, layout: Layout, correction: Correction | None = None
) -> Outputs:
    """Normalizes with the statistics of the batch, which carry no gradient.

    Args:
        x: Inputs in float32, their channel axes neighbours.
        gamma: Of shape (channels,), in float32.
        beta: The same.
        epsilon: Added to the variance.
        layout: Of ``x``.
        correction: Gives renorm's (r, d) from mean and variance.
    """
    if (parts := choice.parts(x.shape, layout)) > 1:
        folded = tf.reshape(x, (-1, parts, layout.channels))
        y, *found = training(folded, gamma, beta, epsilon, replace(layout, rank=3, axes=(2,)), correction)
        return tf.reshape(y, x.shape), *found
    sums = _Sums.of(x, layout)
    hat, inverse, mean, variance = _standardized(tf.stop_gradient(x), epsilon, sums)
    if correction is not None:
        r, d = correction(mean, variance)
        gamma, beta = gamma * r, gamma * d + beta

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def normalized(_: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Callable[[Tensor], Outputs]]:
        wide = sums.spread(gamma)

        def gradient(dy: Tensor) -> Outputs:
            dbeta, dgamma = sums.total(dy), sums.total(dy * hat)
            share = sums.share(dy)
            dx = (dy - (dbeta * share + hat * (dgamma * share))) * (inverse * wide)
            return dx, sums.gathered(dgamma), sums.gathered(dbeta)

        return hat * wide + sums.spread(beta), gradient

    return normalized(x, gamma, beta), mean, variance


class _Sums(NamedTuple):
    """How one input is summed for each channel: to a shape that broadcasts against it.

    Attributes:
        layout: Of the input.
        stages: The axes that are summed over, together or in two operations one after the other.
        elements: Of a channel; None if that is not known, or 0.
    """

    layout: Layout
    stages: tuple[tuple[int, ...], ...]
    elements: int | None

    @classmethod
    def of(cls, x: Tensor, layout: Layout) -> _Sums:
        sizes = [x.shape[axis] for axis in layout.reduction_axes]
        elements = None if None in sizes or 0 in sizes else math.prod(sizes)
        few = layout.channels == 1 or choice.count(x.shape, range(layout.rank)) <= choice.SMALL
        stages = (layout.reduction_axes,) if few else layout.stages
        return cls(layout, tuple(filter(None, stages)), elements)

    @property
    def flat(self) -> bool:
        """Whether a vector is of the shape that broadcasts against the input."""
        return self.layout.axes == (self.layout.rank - 1,)

    def total(self, x: Tensor) -> Tensor:
        """The sum."""
        return self._reduced(tf.reduce_sum, x)

    def mean(self, x: Tensor) -> Tensor:
        """The mean."""
        return self._reduced(tf.reduce_mean, x)

    def _reduced(self, reduce: Callable[..., Tensor], x: Tensor) -> Tensor:
        for axes in self.stages:
            x = reduce(x, tuple(range(len(axes))) if self.flat else axes, not self.flat)
        return x

    def first(self, x: Tensor) -> Tensor:
        """An element of each channel; 0 where there is none."""
        if self.flat and self.elements:
            return x[(0,) * (self.layout.rank - 1)]
        row = x[tuple(slice(None) if axis in self.layout.axes else slice(1) for axis in range(self.layout.rank))]
        return row if self.elements else self.total(row)

    def share(self, x: Tensor) -> Tensor:
        """``1 / m``, of any size where there is nothing."""
        if self.elements:
            return 1.0 / self.elements
        return self.layout.channels / tf.cast(tf.size(x), "float32")

    def spread(self, vector: Tensor) -> Tensor:
        """A vector in a shape that broadcasts against the input."""
        return vector if self.flat else tf.reshape(vector, self.layout.broadcast_shape)

    def gathered(self, spread: Tensor) -> Tensor:
        """The inverse of `spread`."""
        return spread if self.flat else tf.reshape(spread, (self.layout.channels,))


def _standardized(x: Tensor, epsilon: float, sums: _Sums) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``x_hat``, ``1 / sigma`` in a shape that broadcasts, and mean and variance as vectors."""
    first = sums.first(x)
    near = x - first
    center = sums.mean(near)
    apart = near - center
    variance = sums.mean(tf.square(apart))
    inverse = tf.math.rsqrt(variance + epsilon)
    return apart * inverse, inverse, sums.gathered(center + first), sums.gathered(variance)
