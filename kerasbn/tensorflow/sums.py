"""Mean and variance of many rows, finer than the kernel's and in less time.

The kernel of a CPU adds row after row in float32, so over 100,000 rows its variance is wrong by 3e-5. Here the rows are
taken ``LANES`` numbers at a time, and only the sums of few rows are in float32. Two operations that neither write what
they read nor pass over it twice give them: an average pooling, and for the squares the gradient of a depthwise
convolution by its weights, ``sum x * dy`` with x for dy. Together with normalizing by them that is one pass over the
inputs less than the kernel makes.

``E[x²] - E[x]²`` loses what ``E[x]²`` has above the variance. So where the mean of some channel is far from 0, it is
taken off and the sums are taken again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from kerasbn.library import Tensor
from kerasbn.tensorflow.ops import shape

FAR = 6.0
"""|mean|/sigma above which the variance is taken again: below, ``E[x²] - E[x]²`` has the precision of float32."""
LANES = 16384
"""Sums in float32 side by side; more make each of fewer numbers, but leave the processor's nearest cache."""
WINDOW = 64
"""Rows of an average in float32."""


class Centered(NamedTuple):
    """Inputs whose means are near 0, and their statistics for each channel.

    Attributes:
        x: The inputs, or the inputs less their means in float32, whose rounding would show in the outputs.
        rest: The mean of ``x``.
        mean: Of the inputs.
        variance: The population's; 0 without rows, and so are the means.
    """

    x: Tensor
    rest: Tensor
    mean: Tensor
    variance: Tensor


def centered(x: Tensor, epsilon: float, width: int = 1) -> Centered:
    """The inputs with their statistics, less their means if some channel's is far from 0; without a gradient.

    Args:
        x: With the channels last, in float32.
        epsilon: A variance is exact only as far as ``variance + epsilon`` is.
        width: How many columns each channel has, side by side. Of more than one, the mean of a column is summed in
            float32: for what was rounded to 16 bits.
    """
    rows = tf.reshape(tf.stop_gradient(x), (-1, x.shape[-1]))
    found = _function(None if tf.executing_eagerly() else rows.shape[0], x.shape[-1], width, epsilon)(rows)
    return found._replace(x=tf.reshape(found.x, shape(x)))  # type: ignore[no-any-return]


def of_columns(vector: Tensor, width: int) -> Tensor:
    """An element for each channel, as one for each of its columns."""
    return vector if width == 1 else tf.repeat(vector, width)


def of_channels(columns: Tensor, width: int) -> Tensor:
    """The sum of each channel's columns."""
    return columns if width == 1 else tf.reduce_sum(tf.reshape(columns, (-1, width)), 1)


@functools.cache
def _function(count: int | None, columns: int, width: int, epsilon: float) -> Callable[[Tensor], Any]:
    """`_centered`, once for all layers: of its own in each, it would take a megabyte for a layer's graph."""
    rows = tf.TensorSpec((count, columns), "float32")
    keep = {"_noinline": True}
    return tf.function(  # type: ignore[no-any-return]
        lambda x: _centered(x, width, epsilon), input_signature=[rows], autograph=False, experimental_attributes=keep
    )


def _centered(x: Tensor, width: int, epsilon: float) -> Centered:
    mean, variance, near = _moments(x, width, epsilon)

    def again() -> Centered:
        less = x - of_columns(mean, width)
        rest, exact, _ = _moments(less, width, epsilon)
        return Centered(less, rest, mean + rest, exact)

    return tf.cond(near, lambda: Centered(x, mean, mean, variance), again)  # type: ignore[no-any-return]


def _moments(rows: Tensor, width: int, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, variance, and whether they are exact."""
    divisor = tf.cast(tf.maximum(shape(rows)[0] * width, 1), "float64")
    total, squares = _sums(rows) if width == 1 else _sums_of_columns(rows)
    mean, square = (of_channels(each, width) / divisor for each in (total, squares))
    variance = square - tf.square(mean)
    exact = tf.math.is_finite(square) & (tf.square(mean) <= FAR**2 * (variance + epsilon))
    return tf.cast(mean, "float32"), tf.cast(tf.maximum(variance, 0), "float32"), tf.reduce_all(exact)


def _sums(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The sums of x and x² for each channel, in float64."""
    count, channels = shape(rows)
    lanes = _lanes(count, channels)
    rest = count % lanes
    even, odd = (rows, None) if isinstance(rest, int) and not rest else (rows[: count - rest], rows[count - rest :])
    window = min(lanes, WINDOW)
    means = tf.nn.avg_pool2d(tf.reshape(even, (-1, 1, window, channels)), (1, window), 1, "VALID")
    squares = _squares(tf.reshape(even, ((count - rest) // lanes, lanes * channels)))
    sums = window * _sum(means, channels), _sum(squares, channels)
    return sums if odd is None else (sums[0] + _sum(odd, channels), sums[1] + _sum(tf.square(odd), channels))


def _sums_of_columns(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The sums of x and x² for each column, of which there are many, in float64."""
    return tf.cast(tf.reduce_sum(rows, 0), "float64"), tf.cast(tf.reshape(_squares(rows), (-1,)), "float64")


def _squares(rows: Tensor) -> Tensor:
    """The sum of x² for each column."""
    wide = rows[tf.newaxis, tf.newaxis]
    sums = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
        input=wide, filter_sizes=(1, 1, rows.shape[1], 1), out_backprop=wide, strides=[1] * 4, padding="VALID"
    )
    # Of no rows, without oneDNN, it is whatever was in memory.
    return sums if rows.shape[0] else tf.where(tf.shape(rows)[0] > 0, sums, tf.zeros_like(sums))


def _lanes(count: Tensor, channels: int) -> int:
    """Rows that are summed side by side: a power of 2, so that the windows of the averages are parts of them."""
    most = max(LANES // channels, 1)
    most = max(min(most, count), 1) if isinstance(count, int) else most
    return 1 << (most.bit_length() - 1)


def _sum(x: Tensor, channels: int) -> Tensor:
    return tf.reduce_sum(tf.cast(tf.reshape(x, (-1, channels)), "float64"), 0)
