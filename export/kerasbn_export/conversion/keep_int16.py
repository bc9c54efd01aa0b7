"""Layers whose activations have 16 bits inside an int8 file.

The converter knows one type of activations for a whole file. So it quantizes the same calibrated file twice, to int8
and to 16 bits, there with all other layers in float: they need no form of 16 bits. Both have the same operations in the
same order. Those of the layers that are meant are taken from the second file, with their weights. A QUANTIZE stands
wherever a tensor goes from one grid to the other::

    x --int8--> QUANTIZE --int16--> operation of the second file --int16--> QUANTIZE --int8--> y

Where one of these layers follows another the tensor between them keeps its 16 bits.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasbn.errors import ConversionError
from kerasbn_export.conversion.keep_float import kept_ops, nothing_found
from kerasbn_export.conversion.origins import Origins
from kerasbn_export.program.program import Program
from kerasbn_export.tflite.file import CONVERSIONS, read_tflite
from kerasbn_export.tflite.flatbuffer import add_buffer, content_of, new_code, op_name, parse, schema, serialize


def nodes_but(calibrated: bytes, programs: Sequence[Program], kept: Sequence[str]) -> list[str]:
    """The names by which the converter knows the operations of all layers but some.

    Raises:
        ConversionError: No operation comes from any of them.
    """
    file = read_tflite(calibrated)
    meant = kept_ops(file, Origins(file, programs), kept)
    if not meant:
        raise nothing_found("keep_int16", kept)
    return [op.outputs[0].name for op in file.ops if op.outputs and not any(op is each for each in meant)]


def no_such_form() -> ConversionError:
    """The error where an operation of these layers cannot have 16 bits."""
    return ConversionError(
        "keep_int16: the converter cannot make these layers in 16 bits: an operation has no such form (that of a SELU, "
        "a PReLU, a hard sigmoid). Use keep_float for them."
    )


def with_int16(short: bytes, long: bytes, programs: Sequence[Program], kept: Sequence[str]) -> bytes:
    """The int8 file, with some layers as the file of 16 bits has them.

    Args:
        short: The int8 file.
        long: The file of 16 bits, made of the same calibrated file; its inputs and outputs are in float.
        programs: What both were converted from.
        kept: The names of the layers.

    Raises:
        ConversionError: No operation comes from any of the layers, one has no form of 16 bits, or the files have other
            operations.
    """
    file = read_tflite(short)
    meant = kept_ops(file, Origins(file, programs), kept)
    chosen = {i for i, op in enumerate(file.ops) if op.name not in CONVERSIONS and any(op is each for each in meant)}
    if not chosen:
        raise nothing_found("keep_int16", kept)
    return _Splice(_Core(parse(short)), _Core(parse(long))).made(chosen)


class _Core:
    """What a file computes but for conversions.

    Args:
        model: The file.
    """

    def __init__(self, model: Any) -> None:
        self.model, self.graph = model, model.subgraphs[0]
        self.operators = [op for op in self.graph.operators if self.name(op) not in CONVERSIONS]
        self.inputs = [int(index) for index in self.graph.inputs]
        others = [op for op in self.graph.operators if self.name(op) in CONVERSIONS]
        self.conversions = [(int(op.inputs[0]), int(op.outputs[0])) for op in others]
        """The tensor that each takes, and that which it gives."""

    def name(self, operator: Any) -> str:
        """That of an operation."""
        return op_name(self.model, operator)


class _Splice:
    """Two files of the same operations, of which the first gets some of the second's.

    Args:
        short: The int8 file.
        long: The int16x8 file.
    """

    def __init__(self, short: _Core, long: _Core) -> None:
        self.short, self.long = short, long
        self.graph, self.other = short.graph, long.graph
        self._refuse_different()
        same = list(zip(short.operators, long.operators, strict=True))
        self.counterpart = {id(mine): theirs for mine, theirs in same}
        outputs = [pair for mine, theirs in same for pair in zip(theirs.outputs, mine.outputs, strict=True)]
        pairs = [*zip(long.inputs, short.inputs, strict=True), *outputs]
        self.twins = {int(theirs): int(mine) for theirs, mine in pairs}
        """From a tensor of the second file to that of the first, where both compute it, in whatever type."""
        for source, index in long.conversions:
            if source in self.twins:
                self.twins[index] = self.twins[source]
        self.copies: dict[int, int] = {}
        """From a tensor of the second file to its copy in the first."""
        self.codes: dict[int, int] = {}

    def _twin(self, index: int) -> int:
        """The tensor of the first file with the numbers of one of the second, and with its type where there is such."""
        same = [self.twins[index]]
        same += [after for before, after in self.short.conversions if before in same]
        kind = self.other.tensors[index].type
        return next((each for each in same if self.graph.tensors[each].type == kind), same[0])

    def made(self, chosen: set[int]) -> bytes:
        """The first file with the operations of these numbers from the second."""
        before, self.graph.operators = self.graph.operators, []
        taken = {id(before[number]) for number in chosen}
        given = (int(index) for each in taken for index in self.counterpart[each].outputs)
        self.wide = {index for index in given if not self._same_type(index)}
        for operator in before:
            if id(operator) in taken:
                self._take(self.counterpart[id(operator)])
            elif not self._widen_end(operator):
                self.graph.operators.append(operator)
        self._drop_unread()
        return serialize(self.short.model)

    def _refuse_different(self) -> None:
        names = [[core.name(op) for op in core.operators] for core in (self.short, self.long)]
        if len(self.short.model.subgraphs) > 1 or names[0] != names[1]:
            extra = sorted(set(names[0]) ^ set(names[1])) or ["another order of them"]
            raise ConversionError(
                "keep_int16: the converter writes other operations in int16x8 than in int8 "
                f"({', '.join(extra)}); use keep_float for these layers, or precision 'int16x8' for the whole file."
            )

    def _widen_end(self, operator: Any) -> bool:
        """Whether an output in float was made from 16 bits: then nothing is rounded to 8 on the way."""
        wide = {self.twins[index]: self.copies[index] for index in self.wide if index in self.copies}
        if self.short.name(operator) != "DEQUANTIZE" or int(operator.inputs[0]) not in wide:
            return False
        widened = copy.copy(operator)
        widened.inputs = [wide[int(operator.inputs[0])]]
        widened.opcodeIndex = new_code(self.short.model, "DEQUANTIZE", 3)
        self.graph.operators.append(widened)
        return True

    def _take(self, operator: Any) -> None:
        """One operation of the second file, with a QUANTIZE where its neighbours have 8 bits."""
        taken = copy.copy(operator)
        taken.inputs = [self._input(int(index)) for index in operator.inputs]
        taken.outputs = [self._output(int(index)) for index in operator.outputs]
        taken.opcodeIndex = self._code(operator.opcodeIndex)
        self.graph.operators.append(taken)
        for index, mine in zip(map(int, operator.outputs), taken.outputs, strict=True):
            if self._is_float(self.other.tensors[index]) and not self._is_float(self.graph.tensors[self.twins[index]]):
                raise no_such_form()
            if mine != self.twins[index]:
                self._quantize(mine, self.twins[index])

    def _input(self, index: int) -> int:
        if index < 0:
            return index
        if self.other.tensors[index].isVariable:
            raise ConversionError("keep_int16: an operation with a state (an LSTM) cannot have 16 bits on its own.")
        if index not in self.twins or index in self.wide:
            return self._copy(index)
        twin, known = self._twin(index), index in self.copies
        if self.graph.tensors[twin].type == self.other.tensors[index].type:
            return twin
        mine = self._copy(index)
        if not known:
            self._quantize(twin, mine)
        return mine

    def _output(self, index: int) -> int:
        return self.twins[index] if self._same_type(index) else self._copy(index)

    @staticmethod
    def _is_float(tensor: Any) -> bool:
        return bool(tensor.type == schema().TensorType.FLOAT32)

    def _same_type(self, index: int) -> bool:
        return bool(self.other.tensors[index].type == self.graph.tensors[self.twins[index]].type)

    def _copy(self, index: int) -> int:
        """The number of the copy of a tensor of the second file."""
        if index not in self.copies:
            tensor = copy.copy(self.other.tensors[index])
            content = self._centred(tensor)
            tensor.buffer = add_buffer(self.short.model, content) if content else 0
            self.graph.tensors.append(tensor)
            self.copies[index] = len(self.graph.tensors) - 1
        return self.copies[index]

    def _centred(self, tensor: Any) -> bytes:
        """The content of a tensor, which gets the zero point 0 that kernels of 16 bits ask for.

        The converter writes ranges around 0, whose zero point is -1/2, and rounds that to 0 or to -1.
        """
        content, grid = content_of(self.long.model, tensor), tensor.quantization
        if tensor.type != schema().TensorType.INT16 or grid is None or grid.zeroPoint is None:
            return content
        shift = int(grid.zeroPoint[0])
        tensor.quantization = copy.copy(grid)
        tensor.quantization.zeroPoint = np.zeros_like(grid.zeroPoint)
        moved = np.frombuffer(content, np.int16).astype(np.int32) - shift
        return np.clip(moved, -32768, 32767).astype(np.int16).tobytes()

    def _code(self, index: int) -> int:
        if index not in self.codes:
            self.short.model.operatorCodes.append(copy.copy(self.long.model.operatorCodes[index]))
            self.codes[index] = len(self.short.model.operatorCodes) - 1
        return self.codes[index]

    def _quantize(self, source: int, target: int) -> None:
        """One QUANTIZE from a grid to another."""
        operator = schema().OperatorT()
        operator.opcodeIndex = self.codes.setdefault(-1, len(self.short.model.operatorCodes))
        if operator.opcodeIndex == len(self.short.model.operatorCodes):
            new_code(self.short.model, "QUANTIZE", 2)
        operator.inputs, operator.outputs = [source], [target]
        self.graph.operators.append(operator)

    def _drop_unread(self) -> None:
        """Without each QUANTIZE whose result nothing takes: 8 bits of a tensor that only 16-bit operations read."""
        read = {int(i) for op in self.graph.operators for i in op.inputs} | set(map(int, self.graph.outputs))
        self.graph.operators = [
            op for op in self.graph.operators if self.short.name(op) != "QUANTIZE" or int(op.outputs[0]) in read
        ]
