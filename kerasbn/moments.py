"""Statistics of a batch in plain operations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from kerasbn.layout import Layout
from kerasbn.library import Operations, Tensor

AllSum = Callable[[Tensor], Tensor]


class Moments(NamedTuple):
    """The statistics of one batch.

    Attributes:
        mean: Of each channel.
        variance: The population's, ``sum (x - mean)² / count``.
        count: How many elements each was taken over: an int where that is static.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor


def count(ops: Operations, x: Tensor, layout: Layout) -> Tensor:
    """How many elements each statistic is taken over: an int where that is static."""
    sizes = ops.shape(x)
    return math.prod(sizes[axis] for axis in layout.reduction_axes)


def moments(
    ops: Operations, x: Tensor, layout: Layout, mask: Tensor | None = None, all_sum: AllSum | None = None
) -> Moments:
    """Mean and population variance in the dtype of ``x`` and the shape of the weights.

    ``mean = sum(x) / m``, ``variance = sum((x - mean)²) / m``. The difference before the square keeps the variance
    exact where |mean| is much larger than sigma. Without elements both are 0.

    Args:
        ops: The operations.
        x: Inputs.
        layout: Which of their axes are channels.
        mask: As `expanded` returns it: True where an element counts. None: all do.
        all_sum: Sums a tensor over the replicas. None: the statistics of this one alone.
    """
    all_sum = all_sum or _identity

    def total(value: Tensor) -> Tensor:
        return all_sum(ops.sum(value, layout.reduction_axes, keepdims=True))

    weights = None if mask is None else ops.cast(mask, x.dtype)
    if weights is not None:
        x = ops.where(mask, x, ops.zeros_like(x))  # Not a product: what is masked may be NaN.
        number = total(weights)
    elif all_sum is not _identity:
        number = all_sum(ops.cast(count(ops, x, layout), x.dtype))
    else:
        number = count(ops, x, layout)
    divisor = at_least_one(ops, number, x.dtype)
    mean = total(x) / divisor
    squares = ops.square(x - ops.stop_gradient(mean))
    variance = total(squares if weights is None else squares * weights) / divisor
    shape = layout.weight_shape
    number = ops.reshape(number, (-1,)) if mask is not None and len(shape) == 1 else number
    return Moments(ops.reshape(mean, shape), ops.reshape(variance, shape), number)


def expanded(ops: Operations, mask: Tensor, x: Tensor, layout: Layout) -> Tensor:
    """A mask of all axes but the last, as booleans that broadcast against ``x``.

    Where the last axis is averaged over, the mask is spread over it so that its elements are counted.
    """
    wide = ops.expand_dims(ops.cast(mask, "bool"), -1)
    return wide if layout.axes[-1] == layout.rank - 1 else ops.broadcast_to(wide, ops.shape(x))


def at_least_one(ops: Operations, number: Tensor, dtype: str) -> Tensor:
    """A count as a divisor."""
    if isinstance(number, int):
        return float(max(number, 1))
    return ops.maximum(ops.cast(number, dtype), ops.cast(1, dtype))


def _identity(value: Tensor) -> Tensor:
    return value
