"""The linear operations of an int8 file, each as a matrix product, with the float weights that it was rounded from.

    y = x W + b        x: (groups, rows, taps), W: (groups, taps, channels of the group)

A convolution at one position is one row of such a product: a fully connected layer has one group, a depthwise
convolution as many as channels. The float weights are those of the operation in the float file whose output has the
same name; they are only taken where the int8 weights are these, rounded to the nearest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.tflite.flatbuffer import content_of, dtype_name, op_name, own_buffer
from kerasbn_export.tflite.quantization import Quantization

KINDS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
LARGEST = 127
"""Of an int8 weight: its range is symmetric."""
NEAREST, EITHER = 0.5 + 1e-3, 1 + 1e-3
"""Steps to the nearest number on a grid, and to the one above or below, with the rounding of float32."""


@dataclass(frozen=True)
class Window:
    """Which inputs one position of the output takes."""

    size: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    same: bool


@dataclass(frozen=True)
class Layer:
    """A linear operation: the numbers of its tensors, and its weights.

    Attributes:
        name: Of its output, as in the file.
        source: The tensor that it takes.
        kernel: The tensor of its weights.
        bias: The tensor of its bias; -1 where it has none.
        output: The tensor that it gives.
        exact_source: The tensor of the float file that it takes there.
        exact_output: The tensor of the float file that it gives there.
        window: None for a fully connected operation.
        groups: How many.
        depthwise: Whether the tensor of the weights has the channels last.
        weights: The float weights, as a product takes them.
        exact_bias: The float bias, of each channel.
        scale: The step of the grid of each channel: ``(groups, 1, channels of the group)``.
        shape: Of the tensor of the weights.
    """

    name: str
    source: int
    kernel: int
    bias: int
    output: int
    exact_source: int
    exact_output: int
    window: Window | None
    groups: int
    depthwise: bool
    weights: Array
    exact_bias: Array
    scale: Array
    shape: tuple[int, ...]

    def per_group(self, channels: Array) -> Array:
        """Numbers of channels as ``(groups, 1, channels of the group)``."""
        return channels.reshape(self.groups, 1, -1)


def layers_of(model: Any, exact: Any, within: float = NEAREST) -> Iterator[Layer]:
    """The layers of an int8 file whose float weights are known, in the order in which they run.

    Args:
        model: The int8 file, parsed.
        exact: The float32 file of the same model, parsed.
        within: Steps that an int8 weight may be away from the float one: `NEAREST`, or `EITHER` way.
    """
    twins = {_name(exact, int(op.outputs[0])): op for op in exact.subgraphs[0].operators if op_name(exact, op) in KINDS}
    graph = model.subgraphs[0]
    uses = Counter(int(index) for op in graph.operators for index in op.inputs)
    for op in graph.operators:
        twin = twins.get(_name(model, int(op.outputs[0])))
        known = twin is not None and op_name(model, op) == op_name(exact, twin) and uses[int(op.inputs[1])] == 1
        layer = _layer(model, op, exact, twin, within) if known else None
        if layer is not None:
            yield layer


def stored_weights(model: Any, layer: Layer) -> Array:
    """The int8 weights, as a product takes them."""
    tensor = model.subgraphs[0].tensors[layer.kernel]
    stored = np.frombuffer(content_of(model, tensor), np.int8).reshape(layer.shape)
    return as_product(stored, layer.groups, depthwise=layer.depthwise)


def write_weights(model: Any, layer: Layer, stored: Array) -> None:
    """Writes int8 weights, given as a product takes them."""
    if layer.depthwise:
        _, height, width, _ = layer.shape
        whole = stored.transpose(1, 0, 2).reshape(1, height, width, -1)
    else:
        whole = stored.transpose(0, 2, 1).reshape(layer.shape)
    kernel = model.subgraphs[0].tensors[layer.kernel]
    own_buffer(model, kernel).data = np.frombuffer(whole.astype(np.int8).tobytes(), np.uint8)


def bias_of(model: Any, layer: Layer) -> Array:
    """The real bias of each channel, as the file rounds it."""
    count = layer.scale.size
    if layer.bias < 0:
        return np.zeros(count)
    tensor = model.subgraphs[0].tensors[layer.bias]
    stored = np.frombuffer(content_of(model, tensor), dtype_name(tensor)).astype(np.float64)
    return stored * np.asarray(tensor.quantization.scale, np.float64)


def range_of(model: Any, index: int) -> tuple[float, float]:
    """The smallest and the largest number that a quantized tensor can hold."""
    scale, zero = scale_of(model, index)
    return Quantization(scale, zero, dtype_name(model.subgraphs[0].tensors[index])).range


def scale_of(model: Any, index: int) -> tuple[float, int]:
    """The scale and the zero point of a tensor that has one of each."""
    quantization = model.subgraphs[0].tensors[index].quantization
    return float(quantization.scale[0]), int(quantization.zeroPoint[0])


def as_product(kernel: Array, groups: int, *, depthwise: bool) -> Array:
    """A kernel in TFLite's layout as ``(groups, taps, channels of the group)``."""
    product: Array
    if depthwise:
        product = kernel.reshape(-1, groups, kernel.shape[-1] // groups).transpose(1, 0, 2)
    else:
        product = kernel.reshape(groups, len(kernel) // groups, -1).transpose(0, 2, 1)
    return product


def _layer(model: Any, op: Any, exact: Any, twin: Any, within: float) -> Layer | None:
    """The layer of an operation; None where its weights are not the other's, rounded."""
    tensors, exacts = model.subgraphs[0].tensors, exact.subgraphs[0].tensors
    source, kernel, output = (tensors[int(index)] for index in (*op.inputs[:2], op.outputs[0]))
    twin_kernel = exacts[int(twin.inputs[1])]
    dtypes = [dtype_name(each) for each in (source, output, kernel, twin_kernel)]
    if dtypes not in (["int8", "int8", "int8", "float32"], ["int16", "int16", "int8", "float32"]):
        return None
    shape = tuple(int(size) for size in kernel.shape)
    stored, real = content_of(model, kernel), content_of(exact, twin_kernel)
    if tuple(twin_kernel.shape) != shape or len(stored) != np.prod(shape) or len(real) != 4 * len(stored):
        return None
    depthwise = op_name(model, op) == "DEPTHWISE_CONV_2D"
    groups = _groups(op_name(model, op), shape, source)
    count = shape[-1] if depthwise else shape[0]
    scale = np.broadcast_to(np.asarray(kernel.quantization.scale, np.float64), (count,)).reshape(groups, 1, -1)
    weights = as_product(np.frombuffer(real, np.float32).reshape(shape).astype(np.float64), groups, depthwise=depthwise)
    nearest = as_product(np.frombuffer(stored, np.int8).reshape(shape), groups, depthwise=depthwise)
    if np.any(kernel.quantization.zeroPoint) or np.any(np.abs(weights / scale - nearest) > within):
        return None
    return Layer(
        name=_name(model, int(op.outputs[0])),
        source=int(op.inputs[0]),
        kernel=int(op.inputs[1]),
        bias=_bias(op),
        output=int(op.outputs[0]),
        exact_source=int(twin.inputs[0]),
        exact_output=int(twin.outputs[0]),
        window=_window(op_name(model, op), shape, op.builtinOptions),
        groups=groups,
        depthwise=depthwise,
        weights=weights,
        exact_bias=_exact_bias(exact, twin, count),
        scale=scale,
        shape=shape,
    )


def _name(model: Any, index: int) -> str:
    return str(model.subgraphs[0].tensors[index].name.decode())


def _groups(kind: str, shape: tuple[int, ...], source: Any) -> int:
    if kind == "FULLY_CONNECTED":
        return 1
    channels = int(source.shape[-1])
    return channels if kind == "DEPTHWISE_CONV_2D" else channels // shape[-1]


def _window(kind: str, shape: tuple[int, ...], options: Any) -> Window | None:
    if kind == "FULLY_CONNECTED":
        return None
    strides, dilations = (options.strideH, options.strideW), (options.dilationHFactor, options.dilationWFactor)
    return Window((shape[1], shape[2]), strides, dilations, same=options.padding == 0)


def _bias(op: Any) -> int:
    return int(op.inputs[2]) if len(op.inputs) > 2 else -1


def _exact_bias(exact: Any, twin: Any, count: int) -> Array:
    index = _bias(twin)
    if index < 0:
        return np.zeros(count)
    return np.frombuffer(content_of(exact, exact.subgraphs[0].tensors[index]), np.float32).astype(np.float64)
