"""One step of a layer in training: its outputs, and where its averages go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kerasbn import ghost, renorm
from kerasbn.averages import cumulative_momentum, moved, unbiased, unless_empty
from kerasbn.library import Tensor
from kerasbn.moments import Moments
from kerasbn.normalization import Normalization

Layer = Any
"""A `BatchNormMixin`."""


def train(layer: Layer, x: Tensor, mask: Tensor | None) -> tuple[Tensor, list[Tensor]]:
    """Outputs, and a new value for each of ``layer.averages``."""
    if layer.renorm or layer.adjustment is not None:
        y, batch = _corrected(layer, x, mask)
    else:
        y, batch = _normalized(layer, x, layer.gamma, layer.beta, mask)
    return y, _moved(layer, batch)


def _normalized(layer: Layer, x: Tensor, gamma: Tensor, beta: Tensor, mask: Tensor | None) -> tuple[Tensor, Moments]:
    normalization: Normalization = layer.normalization
    if layer.virtual_batch_size is not None:
        return ghost.training(normalization, x, gamma, beta, layer.virtual_batch_size)
    all_sum = layer._library.all_sum if layer.synchronized else None
    return normalization.training(x, gamma, beta, mask, all_sum)


def _corrected(layer: Layer, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Moments]:
    """``gamma * (r * (scale * x_hat + bias) + d) + beta``: the adjustment's scale and bias, renorm's r and d."""
    ops, spread = layer._library.ops, layer.normalization.spread
    correction = _correction(layer) if layer.renorm else None
    special = mask is not None, layer.adjustment is not None, layer.virtual_batch_size is not None, layer.synchronized
    if correction is not None and layer.normalization.corrects and not any(special):
        return layer.normalization.corrected(x, layer.gamma, layer.beta, correction)  # type: ignore[no-any-return]
    y, batch = _normalized(layer, ops.cast(x, layer.normalization.dtype), None, None, mask)
    if layer.adjustment is not None:
        scale, bias = layer.adjustment(ops.convert_to_tensor(ops.shape(x), "int32"))
        y = y * ops.cast(scale, y.dtype) + ops.cast(bias, y.dtype)
    gamma, beta = layer.gamma, layer.beta
    scale = 1.0 if gamma is None else spread(gamma)
    shift = 0.0 if beta is None else spread(beta)
    if correction is not None:
        r, d = correction(batch)
        scale, shift = spread(r) * scale, spread(d) * scale + shift
    return ops.cast(y * scale + shift, x.dtype), batch


def _correction(layer: Layer) -> Callable[[Moments], tuple[Tensor, Tensor]]:
    """Renorm's (r, d) as a function of the statistics of a batch; the layer's variables are read here, not there."""
    ops, dtype = layer._library.ops, layer.normalization.dtype
    averages = ops.cast(layer.renorm_mean, dtype), ops.cast(layer.renorm_stddev, dtype)
    bounds = {name: ops.cast(bound, dtype) for name, bound in layer.renorm_bounds().items()}
    return lambda batch: renorm.correction(ops, batch, averages, layer.epsilon, bounds)


def _moved(layer: Layer, batch: Moments) -> list[Tensor]:
    """New values for `BatchNormMixin.averages`, in their order."""
    ops, momentum = layer._library.ops, layer.momentum
    if momentum is None:
        momentum = cumulative_momentum(ops, layer.batches)
    variance = unbiased(ops, batch) if layer.averages_unbiased else batch.variance

    def move(average: Tensor, value: Tensor, momentum: Tensor) -> Tensor:
        return moved(ops, average, value, momentum, batch.count)

    values = [move(layer.moving_mean, batch.mean, momentum)]
    if layer.renorm:
        stddev = move(layer.moving_stddev, ops.sqrt(variance + layer.epsilon), momentum)
        of_stddev = ops.maximum(ops.square(stddev) - layer.epsilon, ops.zeros_like(stddev))
        old = ops.cast(layer.moving_variance, stddev.dtype)
        values += [
            unless_empty(ops, of_stddev, old, batch.count),
            stddev,
            move(layer.renorm_mean, batch.mean, layer.renorm_momentum),
            move(layer.renorm_stddev, ops.sqrt(batch.variance + layer.epsilon), layer.renorm_momentum),
        ]
    else:
        values.append(move(layer.moving_variance, variance, momentum))
    if layer.batches is not None:
        old = ops.cast(layer.batches, layer.batches.dtype)
        count = batch.count if isinstance(batch.count, int) else ops.max(batch.count)
        values.append(unless_empty(ops, old + 1.0, old, count))
    return values
