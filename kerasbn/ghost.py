"""Ghost batches: statistics of parts of the batch, each part normalized by its own.

Of N examples, ghost batches of size n make G = N / n parts; part g holds the examples g, g + G, g + 2G, ... (tf_keras'
choice). Normalizing them apart is normalizing G times as many channels, which is how it is done here: the input is
rearranged to (elements of a part, G * channels).

Source: Hoffer, Hubara and Soudry, 2017, "Train longer, generalize better" (arXiv:1705.08741), algorithm 1.
"""

from __future__ import annotations

import math
from dataclasses import replace

from kerasbn.errors import InvalidArgumentError
from kerasbn.library import Operations, Tensor
from kerasbn.moments import Moments
from kerasbn.normalization import Normalization

FEW = 16
"""Elements of a statistic under which the kernel's work per channel outweighs its fewer passes over the input."""


def training(normalization: Normalization, x: Tensor, gamma: Tensor, beta: Tensor, size: int) -> tuple[Tensor, Moments]:
    """Outputs, and the mean over the parts of their statistics.

    Args:
        normalization: As for the whole batch.
        x: Inputs; ``size`` must divide their number.
        gamma: As `Normalization.training` takes it.
        beta: The same.
        size: Of a ghost batch.

    Raises:
        InvalidArgumentError: The size does not divide the batch.
    """
    ops, layout = normalization.ops, normalization.layout
    sizes = ops.shape(x)
    if isinstance(sizes[0], int) and sizes[0] % size:
        raise InvalidArgumentError(
            f"BatchNormalization with virtual_batch_size={size} got a batch of {sizes[0]}; it must divide it. "
            f"Drop the remainder of the data set, or choose another size."
        )
    parts = sizes[0] // size
    # (size, parts, ...) to (size, averaged axes..., parts, channel axes...)
    order = [0, *(each + 1 for each in layout.reduction_axes[1:]), 1, *(each + 1 for each in layout.axes)]
    split = ops.reshape(x, (size, parts, *sizes[1:]))
    apart = ops.transpose(split, order)
    across = replace(layout, rank=2, axes=(1,), sizes=(parts * layout.channels,))
    rows = ops.reshape(apart, (-1, across.channels))
    gamma, beta = (None if each is None else _repeated(ops, each, parts) for each in (gamma, beta))
    elements = math.prod((size, *(sizes[axis] for axis in layout.reduction_axes[1:])))
    few = isinstance(elements, int) and elements < FEW
    kernel = None if few else normalization.kernel
    y, found = replace(normalization, layout=across, kernel=kernel).training(rows, gamma, beta)
    back = sorted(range(len(order)), key=order.__getitem__)
    y = ops.reshape(ops.transpose(ops.reshape(y, ops.shape(apart)), back), sizes)
    mean, variance = (_mean_over_parts(ops, each, parts, layout.weight_shape) for each in (found.mean, found.variance))
    return y, Moments(mean, variance, found.count)


def _repeated(ops: Operations, vector: Tensor, times: Tensor) -> Tensor:
    return ops.tile(ops.reshape(vector, (-1,)), (times,))


def _mean_over_parts(ops: Operations, vector: Tensor, parts: Tensor, shape: tuple[int, ...]) -> Tensor:
    return ops.reshape(ops.mean(ops.reshape(vector, (parts, math.prod(shape))), [0]), shape)
