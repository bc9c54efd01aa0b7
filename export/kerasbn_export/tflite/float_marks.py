"""Operations that the converter is to leave in float: it has no integer FLOOR, and leaves what stands behind one.

A FLOOR before what such an operation takes is a mark, which is in no finished file: each is taken out again, by the
name that it was given. The kernel of a transposed convolution the converter rounds all the same, as in a dynamic file:
it is given back. Other operations it leaves by their names, but where one only moves numbers it still gives what that
takes the range of what it gives, which may clip it: behind a mark each has its own.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np

from kerasbn.errors import ConversionError
from kerasbn_export.arrays import Array
from kerasbn_export.tflite.flatbuffer import (
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
from kerasbn_export.tflite.same_grid import SAME_GRID

FLOOR, TRANSPOSED = "FLOOR", "TRANSPOSE_CONV"
MARK = "_stays_in_float"
"""What the name of a mark ends with."""
KERNEL, GIVEN = 1, 2
"""The places of the kernel and of what it is given among the inputs of a transposed convolution."""


def marked(content: bytes, kept: Collection[str]) -> tuple[bytes, int, list[Array]]:
    """A calibrated file with its marks; how many there are, and the kernels of transposed convolutions behind them.

    Args:
        content: The file.
        kept: The names of the outputs of operations that stay in float.
    """
    kernels = list[Array]()
    if not kept or not has_any(content, (TRANSPOSED, *SAME_GRID)):
        return content, 0, kernels
    model = parse(content)
    graph = model.subgraphs[0]
    floats = [op for op in graph.operators if _names(graph, op) & set(kept)]
    made = {int(index) for op in floats for index in op.outputs}
    marks: dict[int, int] = {}
    for op in floats:
        kernel = graph.tensors[op.inputs[KERNEL]] if op_name(model, op) == TRANSPOSED else None
        if kernel is not None and content_of(model, kernel):
            kernels.append(np.frombuffer(content_of(model, kernel), np.float32).reshape(kernel.shape))
            _mark(model, op, [GIVEN], marks)
        elif op_name(model, op) in SAME_GRID:
            places = [i for i, index in enumerate(op.inputs) if index >= 0 and int(index) not in made]
            _mark(model, op, [i for i in places if _is_measured(graph.tensors[op.inputs[i]])], marks)
    return serialize(model), len(marks), kernels


def _names(graph: Any, op: Any) -> set[str]:
    """Those by which the converter knows an operation."""
    return {graph.tensors[index].name.decode() for index in op.outputs[:1]}


def _is_measured(tensor: Any) -> bool:
    """Whether it is no constant, and no shape: there is a range."""
    quantization = tensor.quantization
    return bool(quantization is not None and quantization.min is not None and len(quantization.min))


def _mark(model: Any, op: Any, places: Sequence[int], marks: dict[int, int]) -> None:
    """Puts marks before some inputs of an operation.

    Args:
        model: The file.
        op: The operation.
        places: Which of its inputs.
        marks: The tensor behind the mark of each tensor that has one already.
    """
    for place in places:
        source = int(op.inputs[place])
        if source not in marks:
            marks[source] = _new_mark(model, op, source)
        op.inputs = [*op.inputs[:place], marks[source], *op.inputs[place + 1 :]]


def _new_mark(model: Any, op: Any, source: int) -> int:
    """The number of a new tensor: what an operation takes, behind a mark."""
    graph = model.subgraphs[0]
    mark, tensor = schema().OperatorT(), copy.copy(graph.tensors[source])
    tensor.name, tensor.buffer, tensor.quantization = tensor.name + MARK.encode(), 0, None
    graph.tensors.append(tensor)
    mark.opcodeIndex = new_code(model, FLOOR)
    mark.inputs, mark.outputs = [source], [len(graph.tensors) - 1]
    graph.operators.insert(graph.operators.index(op), mark)
    return len(graph.tensors) - 1


def without_marks(content: bytes, count: int, kernels: Sequence[Array]) -> bytes:
    """The file without its marks, and with the kernels in float that it is to have so.

    Args:
        content: The file.
        count: How many marks it was converted with.
        kernels: Those of the transposed convolutions that stay in float.

    Raises:
        ConversionError: It has fewer marks: what stays in its place is wrong.
    """
    if not count:
        return content
    model = parse(content)
    graph = model.subgraphs[0]
    marks = [op for op in graph.operators if _is_mark(model, op)]
    if len(marks) != count:
        raise ConversionError(
            f"The converter made {len(marks)} of {count} layers that stay in float as asked for. Please report the "
            "model, and leave keep_float out."
        )
    given = {int(mark.outputs[0]): int(mark.inputs[0]) for mark in marks}
    for op in graph.operators:
        if op_name(model, op) == TRANSPOSED and dtype_name(graph.tensors[op.inputs[GIVEN]]) == "float32":
            _give_back(model, graph.tensors[op.inputs[KERNEL]], kernels)
        op.inputs = [given.get(int(index), int(index)) for index in op.inputs]
    graph.outputs = [given.get(int(index), int(index)) for index in graph.outputs]
    graph.operators = [op for op in graph.operators if not any(op is mark for mark in marks)]
    return serialize(model)


def _is_mark(model: Any, op: Any) -> bool:
    return op_name(model, op) == FLOOR and MARK in model.subgraphs[0].tensors[op.outputs[0]].name.decode()


def _give_back(model: Any, kernel: Any, kernels: Sequence[Array]) -> None:
    if dtype_name(kernel) != "int8":
        return
    numbers = np.frombuffer(content_of(model, kernel), np.int8)
    _, near = min(_distances(kernel, numbers, kernels), default=(np.inf, -1))
    if near < 0:
        return
    kernel.type, kernel.quantization = schema().TensorType.FLOAT32, None
    own_buffer(model, kernel).data = np.frombuffer(kernels[near].astype(np.float32).tobytes(), np.uint8)


def _distances(kernel: Any, numbers: Array, kernels: Sequence[Array]) -> Iterator[tuple[float, int]]:
    """How far integers are from each kernel of their size, in steps at most; and its number."""
    for i, each in enumerate(kernels):
        if each.size == numbers.size and len(each) == kernel.shape[0]:  # one of one dimension has an axis less
            steps = np.reshape(kernel.quantization.scale, (-1, 1))
            yield float(np.abs(each.reshape(len(each), -1) / steps - numbers.reshape(len(each), -1)).max()), i
