"""Layers that the converter is to leave in float: it has no integer NEG, and leaves what stands behind one as it is.

::

    W x + b = (-W)(-x) + b

Such a layer is converted with a NEG before it and the negative of its kernel. In the file both are undone, which is
exact. The kernel of a transposed convolution the converter rounds all the same, as in a dynamic file: it is given back.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.tflite.flatbuffer import (
    add_buffer,
    content_of,
    dtype_name,
    has_any,
    new_code,
    op_name,
    own_buffer,
    parse,
    schema,
    serialize,
)

NEG, TRANSPOSED = "NEG", "TRANSPOSE_CONV"
KERNEL = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "FULLY_CONNECTED": 1, TRANSPOSED: 1}
"""The place of the kernel among the inputs of an operation."""
GIVEN = 2
"""Of what a transposed convolution is given."""


def behind_negatives(content: bytes, kept: Collection[str]) -> tuple[bytes, list[Array]]:
    """A calibrated file with a NEG before each transposed convolution that stays in float; and their kernels.

    The converter does not know them by their names, as it knows other operations.

    Args:
        content: The file.
        kept: The names of the outputs of operations that stay in float.
    """
    kernels = list[Array]()
    if not kept or not has_any(content, (TRANSPOSED,)):
        return content, kernels
    model = parse(content)
    graph = model.subgraphs[0]
    for op in [each for each in graph.operators if op_name(model, each) == TRANSPOSED]:
        kernel = graph.tensors[op.inputs[KERNEL[TRANSPOSED]]]
        if graph.tensors[op.outputs[0]].name.decode() in kept and content_of(model, kernel):
            numbers = np.frombuffer(content_of(model, kernel), np.float32)
            kernels.append(numbers.reshape(kernel.shape))
            given = _negative(model, op)
            negated = _added(graph, kernel, add_buffer(model, (-numbers).tobytes()))
            op.inputs = [op.inputs[0], negated, given, *op.inputs[GIVEN + 1 :]]
    return serialize(model), kernels


def _negative(model: Any, op: Any) -> int:
    """The number of a new tensor: the negative of what an operation is given."""
    graph = model.subgraphs[0]
    negative = schema().OperatorT()
    negative.opcodeIndex = new_code(model, NEG)
    negative.inputs = [int(op.inputs[GIVEN])]
    made = _added(graph, graph.tensors[op.inputs[GIVEN]], 0)
    graph.tensors[made].quantization = None
    negative.outputs = [made]
    graph.operators.insert(graph.operators.index(op), negative)
    return made


def _added(graph: Any, like: Any, buffer: int) -> int:
    tensor = copy.copy(like)
    tensor.name, tensor.buffer = tensor.name + b"/negative", buffer
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


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
