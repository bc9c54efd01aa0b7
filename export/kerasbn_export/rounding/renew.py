"""Renewed statistics of a folded int8 file: each channel gets the mean and the variance that it has in the float file.

    r = sigma(z) / sigma(z~),   s' = r s,   b' = mean(z) - r (mean(z~) - b)

with z = x W + b of the float file and z~ that of the quantized one, both before the activation, and s the scale of a
channel of the weights. A BatchNorm that is still there would get new moving statistics of what the quantized layer
before it gives. In a file it is folded, so that its mean is in the bias, and its variance in the scale of the channel.
The layers are renewed in order, each behind those before. Only the scales of weights change, and the int32 biases,
whose scale is ``s'`` times that of the input.

References:
    Finkelstein et al. 2019, Fighting Quantization Bias With Bias, on means alone. NNCF, pull request 41, renews
    BatchNorms through the quantized model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbn.statistics.running import Running, merged
from kerasbn_export.arrays import Array
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.rounding.layers import EITHER, Layer, bias_of, layers_of, scale_of, stored_weights
from kerasbn_export.rounding.product import product
from kerasbn_export.rounding.rows import rows, spread
from kerasbn_export.tflite.flatbuffer import dtype_name, own_buffer, parse, serialize

FEWEST = 64
"""Rows below which a standard deviation says too little."""
REACH = 0.25
"""The most that a scale may move, as a part of it: what asks for more is no rounding."""

Side = tuple[tuple[int, int], Array, Array]
"""A layer in one of the files: the tensors it takes and gives, its weights and its bias."""


@dataclass(frozen=True)
class Renewed:
    """A file with other scales and biases.

    Attributes:
        data: Its content.
        layers: How many were renewed.
    """

    data: bytes
    layers: int


def renewed(
    quantized: bytes, reference: bytes, samples: Calibration, on_step: Callable[[str], None] = lambda _: None
) -> Renewed:
    """The int8 file with the statistics of its layers brought to those of the float file.

    Args:
        quantized: An int8 file.
        reference: The float32 file of the same model; its tensors have the same names.
        samples: What the statistics are taken over.
        on_step: Called with the name of each layer as it begins.
    """
    samples = spread(samples)
    model, data, done = parse(quantized), quantized, 0
    layers = [layer for layer in layers_of(model, parse(reference), EITHER) if layer.bias >= 0]
    on_step("renew statistics: the float file")
    wanted = _moments(layers, reference, [_exact(layer) for layer in layers], samples) if layers else []
    for layer, exact in zip(layers, wanted, strict=True):
        on_step(f"renew statistics: layer {done + 1} of {len(layers)}")
        bias, weights = bias_of(model, layer), stored_weights(model, layer) * layer.scale
        (found,) = _moments([layer], data, [((layer.source, layer.output), weights, bias)], samples)
        if exact.count[0] >= FEWEST:
            ratio = _ratio(exact, found) if _is_per_channel(model, layer) else np.ones(len(bias))
            _write(model, layer, ratio, exact.mean - ratio * (found.mean - bias))
            data, done = serialize(model), done + 1
    return Renewed(data, done)


def _exact(layer: Layer) -> Side:
    return (layer.exact_source, layer.exact_output), layer.weights, layer.exact_bias


def _moments(layers: Sequence[Layer], content: bytes, sides: Sequence[Side], samples: Calibration) -> list[Running]:
    """Count, mean and M2 of each channel of some layers before the activation."""
    totals = [Running.empty(bias.shape) for _, _, bias in sides]
    for parts in rows(layers, content, [ends for ends, _, _ in sides], samples):
        for at, (part, (_, weights, bias)) in enumerate(zip(parts, sides, strict=True)):
            z = product(part.x.astype(np.float64), weights).transpose(1, 0, 2).reshape(part.x.shape[1], -1) + bias
            mean, count = z.mean(0), np.full(bias.shape, float(len(z)))
            totals[at] = merged(totals[at], Running(count, mean, ((z - mean) ** 2).sum(0)))
    return totals


def _ratio(exact: Running, found: Running) -> Array:
    """``sigma / sigma~`` of each channel; 1 where one of them is none, or they are not alike."""
    known = (exact.m2 > 0) & (found.m2 > 0)
    ratio = np.sqrt(np.where(known, exact.m2, 1.0) / np.where(known, found.m2, 1.0))
    alike: Array = np.where(np.abs(ratio - 1) < REACH, ratio, 1.0)
    return alike


def _is_per_channel(model: Any, layer: Layer) -> bool:
    """Whether each channel has a scale of its own."""
    return len(model.subgraphs[0].tensors[layer.kernel].quantization.scale) == layer.scale.size


def _write(model: Any, layer: Layer, ratio: Array, bias: Array) -> None:
    """Writes the scales and the biases."""
    kernel, tensor = (model.subgraphs[0].tensors[index] for index in (layer.kernel, layer.bias))
    steps = layer.scale.ravel() * ratio
    if _is_per_channel(model, layer):
        kernel.quantization.scale = steps.astype(np.float32)
    scale = steps.astype(np.float32) * np.float32(scale_of(model, layer.source)[0])
    tensor.quantization.scale = scale[: len(tensor.quantization.scale)]
    dtype = np.dtype(dtype_name(tensor))
    limits = np.iinfo(dtype)
    stored = np.clip(np.rint(bias / scale), limits.min, limits.max).astype(dtype)
    own_buffer(model, tensor).data = np.frombuffer(stored.tobytes(), np.uint8)
