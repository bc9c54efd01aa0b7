"""A few operations of a file with grids, computed in float: what they give were their grids finer, or endless.

Constants are the real numbers that their integers stand for. Behind each operation whose result has a grid of step
``s`` stands, if asked for, a rounding to that grid, which clips nothing::

    y' = s * round(y / s)
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.tflite.flatbuffer import add_buffer, content_of, new_code, op_name, parse, schema, serialize
from kerasbn_export.tflite.graph import TFLiteGraph
from kerasbn_export.tflite.interpreter import BACKENDS

BETWEEN = ("QUANTIZE", "DEQUANTIZE")
"""Operations that only change the grid."""

BRANCHING = ("WHILE", "IF", "CALL", "CALL_ONCE")
"""Operations that run other parts of the file."""


class FloatPieces:
    """A file to take pieces from.

    Args:
        content: The file.
    """

    def __init__(self, content: bytes) -> None:
        self._model, self._file = parse(content), TFLiteGraph(content, "the file")
        self._operators = self._model.subgraphs[0].operators

    def computed(self, index: int, given: Mapping[int, Array], *, rounded: bool) -> Array | None:
        """What a tensor would hold; None where that cannot be computed from what is given.

        Args:
            index: The tensor.
            given: The real values of tensors before it.
            rounded: Whether each result is rounded to its grid.
        """
        operators, taken = self._before(index, given)
        if not operators:
            return None
        piece = _Piece(self._model, self._file, rounded=rounded)
        try:
            content = piece.made(operators, taken, index)
            return _run(content, [given[i] for i in taken])
        except (RuntimeError, ValueError):  # there is no such operation in float
            return None

    def _before(self, index: int, given: Collection[int]) -> tuple[list[Any], list[int]]:
        """The operations that a tensor needs, in order, and which of the given ones; none where these are too few."""
        needed, operators = {index}, list[Any]()
        for op in reversed(self._operators):
            if needed.difference(given).intersection(map(int, op.outputs)):
                operators.insert(0, op)
                needed.update(int(i) for i in op.inputs if i >= 0)
        known = {int(i) for op in operators for i in op.outputs}.union(given)
        missing = [i for i in needed.difference(known) if not self._file.tensors[i].constant]
        if missing or any(op_name(self._model, op) in BRANCHING for op in operators):
            return [], []
        return operators, sorted(needed.intersection(given))


class _Piece:
    """A new file of some operations of another.

    Args:
        whole: The other, as objects.
        file: The same, to ask.
        rounded: Whether each result is rounded to its grid.
    """

    def __init__(self, whole: Any, file: TFLiteGraph, *, rounded: bool) -> None:
        self._whole, self._file, self._rounded = whole, file, rounded
        self._model, self._graph = schema().ModelT(), schema().SubGraphT()
        self._model.version, self._model.subgraphs = whole.version, [self._graph]
        self._model.buffers, self._model.operatorCodes = [schema().BufferT()], list(whole.operatorCodes)
        self._graph.tensors, self._graph.operators = list[Any](), list[Any]()
        self._codes = {name: new_code(self._model, name) for name in ("MUL", "ROUND")}
        self._numbers: dict[int, int] = {}
        """From a tensor of the other to what holds its numbers here."""

    def made(self, operators: Sequence[Any], taken: Sequence[int], index: int) -> bytes:
        """The bytes.

        Args:
            operators: The operations, in order.
            taken: The tensors that are given.
            index: The tensor that they give.

        Raises:
            ValueError: A constant has no real numbers that are known.
        """
        self._graph.inputs = [self._number(i) for i in taken]
        for op in operators:
            self._add(op)
        self._graph.outputs = [self._number(index)]
        return serialize(self._model)

    def _add(self, operator: Any) -> None:
        first = self._number(operator.inputs[0])
        if op_name(self._whole, operator) in BETWEEN and self._is_float(first):
            self._numbers[int(operator.outputs[0])] = first
        else:
            new = copy.copy(operator)
            new.inputs = [self._number(i) for i in operator.inputs]
            new.outputs = [self._number(i) for i in operator.outputs]
            self._graph.operators.append(new)
        for output in map(int, operator.outputs) if self._rounded else ():
            if step := self._file.step(output):
                self._numbers[output] = self._on_grid(self._numbers[output], step)

    def _number(self, index: int) -> int:
        """The number here of a tensor of the other; -1 stays what it is."""
        index = int(index)
        if index >= 0 and index not in self._numbers:
            self._numbers[index] = self._copied(index)
        return self._numbers.get(index, index)

    def _copied(self, index: int) -> int:
        tensor, known = copy.copy(self._whole.subgraphs[0].tensors[index]), self._file.tensors[index]
        content: bytes | Array = content_of(self._whole, tensor)
        if known.quantization is not None:
            if known.constant:
                content = self._real(index).astype(np.float32)
            tensor.type, tensor.quantization = schema().TensorType.FLOAT32, None
        tensor.buffer = add_buffer(self._model, content) if known.constant else 0
        return self._appended(tensor)

    def _real(self, index: int) -> Array:
        stored = self._file.constant(index)
        if stored is None:
            raise ValueError(f"tensor {index} has no real numbers that are known")
        return stored.values

    def _appended(self, tensor: Any) -> int:
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _is_float(self, number: int) -> bool:
        return bool(self._graph.tensors[number].type == schema().TensorType.FLOAT32)

    def _on_grid(self, number: int, step: float) -> int:
        """What holds the numbers of a tensor, rounded to multiples of a step."""
        for name, factor in (("MUL", 1.0 / step), ("ROUND", None), ("MUL", step)):
            op, before = schema().OperatorT(), number
            number = self._appended(copy.copy(self._graph.tensors[before]))
            op.opcodeIndex, op.inputs, op.outputs = self._codes[name], [before], [number]
            if factor is not None:
                op.inputs = [before, self._scalar(factor)]
                op.builtinOptionsType, op.builtinOptions = schema().BuiltinOptions.MulOptions, schema().MulOptionsT()
            self._graph.operators.append(op)
        return number

    def _scalar(self, value: float) -> int:
        tensor = schema().TensorT()
        tensor.name, tensor.shape, tensor.type = b"factor", [], schema().TensorType.FLOAT32
        tensor.buffer = add_buffer(self._model, np.float32(value).tobytes())
        return self._appended(tensor)


def _run(content: bytes, arrays: Sequence[Array]) -> Array:
    """The one output of a file."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = getattr(OpResolverType, BACKENDS["builtin"])
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=kernels)
    inputs = [detail["index"] for detail in interpreter.get_input_details()]
    for index, array in zip(inputs, arrays, strict=True):
        interpreter.resize_tensor_input(index, array.shape)
    interpreter.allocate_tensors()
    for index, array in zip(inputs, arrays, strict=True):
        interpreter.set_tensor(index, array)
    interpreter.invoke()
    found: Array = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return found
