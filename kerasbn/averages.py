"""Moving averages of the statistics of batches."""

from __future__ import annotations

from kerasbn.library import Operations, Tensor
from kerasbn.moments import Moments, at_least_one


def moved(ops: Operations, average: Tensor, value: Tensor, momentum: Tensor, count: Tensor) -> Tensor:
    """``momentum * average + (1 - momentum) * value``; the average as it was if ``value`` is of no elements."""
    old = ops.cast(ops.convert_to_tensor(average), average.dtype)  # A cast alone may be the variable: two reads.
    value = ops.reshape(ops.cast(value, average.dtype), average.shape)
    return unless_empty(ops, old - (old - value) * (1.0 - momentum), old, count)


def unless_empty(ops: Operations, new: Tensor, old: Tensor, count: Tensor) -> Tensor:
    """``new``, but ``old`` where the batch had no elements."""
    if isinstance(count, int) and count > 0:
        return new
    return ops.where(ops.cast(count, "float32") > 0, new, old)


def cumulative_momentum(ops: Operations, batches: Tensor) -> Tensor:
    """``n / (n + 1)`` after n batches: with it a moving average is the mean over all batches."""
    seen = ops.cast(batches, batches.dtype)
    return seen / (seen + 1.0)


def unbiased(ops: Operations, statistics: Moments) -> Tensor:
    """The unbiased estimate ``variance * m / (m - 1)``; of one element, 0."""
    dtype, m = statistics.variance.dtype, statistics.count
    return statistics.variance * (at_least_one(ops, m, dtype) / at_least_one(ops, m - 1, dtype))


def population(ops: Operations, variance: Tensor, count: Tensor) -> Tensor:
    """The inverse of `unbiased`, as the kernel divides: by ``max(m - 1, 1)``."""
    return variance * (at_least_one(ops, count - 1, variance.dtype) / at_least_one(ops, count, variance.dtype))
