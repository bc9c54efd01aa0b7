"""Linear layers of a tuned model that stay in float: the converter is kept from quantizing them.

Between two ranges the converter takes every layer for one that is to be quantized, and rounds its weights itself. It
has no integer NEG, and leaves what stands behind one in float::

    W x + b = (-W)(-x) + b

So such a layer is converted with a NEG before it and the negative of its kernel. In the file both are undone, which is
exact. The kernel of a transposed convolution the converter rounds all the same, as in a dynamic file: it is given back.
"""

from __future__ import annotations

import operator
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from kerasbn.quantized.kernels import LINEAR
from kerasbn_export.arrays import Array
from kerasbn_export.graph.model import Call, Graph, Layer
from kerasbn_export.tflite.flatbuffer import (
    content_of,
    dtype_name,
    has_any,
    op_name,
    own_buffer,
    parse,
    schema,
    serialize,
)

NEG = "NEG"
KERNEL = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "FULLY_CONNECTED": 1, "TRANSPOSE_CONV": 1}
"""The place of the kernel among the inputs of an operation."""
KERNEL_NAMES = ("depthwise_kernel", "kernel")
"""Of the kernel among a layer's weights."""


def negate(graph: Graph, names: Collection[str]) -> None:
    """Puts a NEG before each linear layer of these names, and negates its kernel."""
    negated: dict[Layer, Layer] = {}
    for call in graph.in_order():
        if call.layer.kind in LINEAR and call.layer.name in names:
            graph.insert_after(call.inputs[0], _negative(graph, call), [call])
            call.layer = negated.setdefault(call.layer, _with_negative_kernel(call.layer))


def _negative(graph: Graph, call: Call) -> Layer:
    name = f"{call.layer.name}_negative"
    source = graph.flavour.keras.layers.Lambda(operator.neg, name=name, dtype="float32")
    return Layer(name, name, None, source, "float32")


def _with_negative_kernel(layer: Layer) -> Layer:
    return layer.with_weights({name: -held if name in KERNEL_NAMES else held for name, held in layer.weights.items()})


def transposed_kernels(graph: Graph, names: Collection[str]) -> tuple[Array, ...]:
    """The kernels of the transposed convolutions of these names, with the axes of a file."""
    layers = dict.fromkeys(call.layer for call in graph.in_order() if call.layer.name in names)
    return tuple(np.moveaxis(its.weights["kernel"], 2, 0) for its in layers if its.kind == "Conv2DTranspose")


def without_negatives(content: bytes, kernels: Sequence[Array]) -> bytes:
    """The file without each NEG before a layer, whose kernel it negates.

    Args:
        content: The file.
        kernels: What the file is to have in float, of those that the converter has rounded.
    """
    if not has_any(content, (NEG,)):
        return content
    model = parse(content)
    graph = model.subgraphs[0]
    for negative in [each for each in graph.operators if op_name(model, each) == NEG]:
        made = int(negative.outputs[0])
        readers = [each for each in graph.operators if made in map(int, each.inputs)]
        if readers and all(_takes(model, reader, made) for reader in readers):
            for reader in readers:
                _undo(model, reader, made, int(negative.inputs[0]), kernels)
            graph.operators.remove(negative)
    return serialize(model)


def _takes(model: Any, op: Any, index: int) -> bool:
    """Whether an operation is a layer that multiplies what it is given by a constant."""
    place = KERNEL.get(op_name(model, op))
    if place is None or int(op.inputs[place]) == index:
        return False
    kernel = model.subgraphs[0].tensors[op.inputs[place]]
    return bool(content_of(model, kernel)) and dtype_name(kernel) in ("float32", "int8")


def _undo(model: Any, op: Any, made: int, given: int, kernels: Sequence[Array]) -> None:
    op.inputs = [given if int(index) == made else int(index) for index in op.inputs]
    kernel = model.subgraphs[0].tensors[op.inputs[KERNEL[op_name(model, op)]]]
    numbers = -np.frombuffer(content_of(model, kernel), dtype_name(kernel))
    if dtype_name(kernel) == "int8" and (near := min(_distances(kernel, numbers, kernels), default=(1.0, -1)))[0] < 1.0:
        numbers = kernels[near[1]].astype(np.float32)
        kernel.type, kernel.quantization = schema().TensorType.FLOAT32, None
    own_buffer(model, kernel).data = np.frombuffer(numbers.tobytes(), np.uint8)


def _distances(kernel: Any, numbers: Array, kernels: Sequence[Array]) -> Iterator[tuple[float, int]]:
    """How far integers are from each kernel of their shape, in steps at most; and its number."""
    for i, each in enumerate(kernels):
        if each.shape == tuple(kernel.shape):
            steps = np.reshape(kernel.quantization.scale, (-1, 1, 1, 1))
            yield float(np.abs(each / steps - numbers.reshape(each.shape)).max()), i
