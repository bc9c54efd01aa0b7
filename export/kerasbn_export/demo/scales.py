"""What folding does to the scale of the weights, channel by channel.

The scale of an output channel is its largest ``|weight|``: 127 times the step of its int8 weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasbn_export.arrays import Array

Scales = dict[str, tuple[Array, Array]]


def channel_scales(kernel: Array, *, depthwise: bool) -> Array:
    """The largest |weight| of each output channel.

    Args:
        kernel: Of shape (..., in, out), or (..., in, multiplier) with in * multiplier outputs.
        depthwise: Which of the two.
    """
    channels = kernel.shape[-1] * (kernel.shape[-2] if depthwise else 1)
    scales: Array = np.abs(kernel.reshape(-1, channels)).max(axis=0)
    return scales


def changed_scales(model: Any, folded: Any) -> Scales:
    """For each layer whose kernel folding changed: its scales before and after."""
    after = {layer.name: layer for layer in folded.layers}
    pairs = ((layer, after.get(layer.name)) for layer in model.layers)
    found = {layer.name: (_scales(layer), _scales(other)) for layer, other in pairs if _comparable(layer, other)}
    return {name: (old, new) for name, (old, new) in found.items() if not np.array_equal(old, new)}


def _comparable(layer: Any, other: Any) -> bool:
    return other is not None and bool(_kernel(layer)) and len(_kernel(layer)[0].shape) == len(_kernel(other)[0].shape)


def _scales(layer: Any) -> Array:
    return channel_scales(np.asarray(_kernel(layer)[0]), depthwise="Depthwise" in type(layer).__name__)


def _kernel(layer: Any) -> list[Any]:
    """The layer's kernel, if it has one: the first weight of more than one dimension."""
    return [weight for weight in layer.weights if len(weight.shape) > 1][:1]
