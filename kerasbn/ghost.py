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
    split = ops.reshape(x, (size, parts, *sizes[1:]))
    gamma, beta = (None if each is None else _repeated(ops, each, parts) for each in (gamma, beta))
    elements = math.prod((size, *(sizes[axis] for axis in layout.reduction_axes[1:])))
    few = isinstance(elements, int) and elements < FEW
    apart = replace(normalization, kernel=None if few else normalization.kernel)
    in_place = layout.axes[0] == 1 or (apart.kernel is not None and apart.kernel.takes_axes_apart())
    y, found = (_in_place if in_place else _put_together)(apart, split, gamma, beta)
    mean, variance = (_mean_over_parts(ops, each, parts, layout.weight_shape) for each in (found.mean, found.variance))
    return ops.reshape(y, sizes), Moments(mean, variance, found.count)


def _in_place(normalization: Normalization, split: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Moments]:
    """Of (size, parts, ...) as it is: parts and channels are neighbours, or need not be."""
    layout, parts = normalization.layout, normalization.ops.shape(split)[1]
    axes = 1, *(each + 1 for each in layout.axes)
    across = replace(layout, rank=layout.rank + 1, axes=axes, sizes=(parts, *layout.sizes))
    return replace(normalization, layout=across).training(split, gamma, beta)


def _put_together(normalization: Normalization, split: Tensor, gamma: Tensor, beta: Tensor) -> tuple[Tensor, Moments]:
    """Of (size, parts, ...), by way of (size, averaged axes..., parts, channel axes...)."""
    ops, layout = normalization.ops, normalization.layout
    order = [0, *(each + 1 for each in layout.reduction_axes[1:]), 1, *(each + 1 for each in layout.axes)]
    apart = ops.transpose(split, order)
    across = replace(layout, rank=2, axes=(1,), sizes=(ops.shape(split)[1] * layout.channels,))
    y, found = replace(normalization, layout=across).training(ops.reshape(apart, (-1, across.channels)), gamma, beta)
    back = sorted(range(len(order)), key=order.__getitem__)
    return ops.transpose(ops.reshape(y, ops.shape(apart)), back), found


def _repeated(ops: Operations, vector: Tensor, times: Tensor) -> Tensor:
    return ops.tile(ops.reshape(vector, (-1,)), (times,))


def _mean_over_parts(ops: Operations, vector: Tensor, parts: Tensor, shape: tuple[int, ...]) -> Tensor:
    return ops.reshape(ops.mean(ops.reshape(vector, (parts, math.prod(shape))), [0]), shape)
