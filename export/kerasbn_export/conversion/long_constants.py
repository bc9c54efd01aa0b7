"""Constants of 16 bits beside activations of 16 bits.

The converter of a calibrated file rounds the constant of a sum to 8 bits, also where what it is added to has 16. LiteRT
takes no such pair, and the converter itself no such difference. An input it gives 16 bits. So for the conversion such
a constant is one more input, with the range of its numbers, and then a constant on the grid that this was given.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.tflite.flatbuffer import add_buffer, content_of, dtype_name, op_name, parse, schema, serialize

TAKING = ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM")
"""Operations that take a constant as they take anything else."""
NAME = "kerasbn_constant_"


def constants_as_inputs(calibrated: bytes) -> tuple[bytes, dict[str, Array]]:
    """A calibrated file without the constants of `TAKING`; and these, by the names of the inputs in their place."""
    model = parse(calibrated)
    graph = model.subgraphs[0]
    constants, known = dict[str, Array](), dict[int, int]()
    for op, place in _places(model) if len(model.subgraphs) == 1 else ():
        index = int(op.inputs[place])
        if index not in known:
            name, content = f"{NAME}{len(known)}", content_of(model, graph.tensors[index])
            constants[name] = np.frombuffer(content, np.float32)
            graph.tensors.append(_input(graph.tensors[index], name, constants[name]))
            known[index] = len(graph.tensors) - 1
        op.inputs = [*op.inputs[:place], known[index], *op.inputs[place + 1 :]]
    if not constants:
        return calibrated, constants
    graph.inputs = [*graph.inputs, *known.values()]
    model.signatureDefs = None
    return serialize(model), constants


def _places(model: Any) -> Iterator[tuple[Any, int]]:
    """The operations that take a constant beside what is computed, and which of their inputs it is."""
    graph = model.subgraphs[0]
    for op in (op for op in graph.operators if op_name(model, op) in TAKING):
        held = [bool(content_of(model, graph.tensors[index])) for index in op.inputs]
        if sum(held) == 1 and dtype_name(graph.tensors[op.inputs[held.index(True)]]) == "float32":
            yield op, held.index(True)


def _input(tensor: Any, name: str, numbers: Array) -> Any:
    """A tensor like that of a constant, with the range of its numbers, which holds 0."""
    made = copy.copy(tensor)
    made.name, made.buffer, made.quantization = name.encode(), 0, schema().QuantizationParametersT()
    made.quantization.min = np.array([min(float(numbers.min()), 0.0)], np.float32)
    made.quantization.max = np.array([max(float(numbers.max()), 0.0)], np.float32)
    return made


def inputs_as_constants(long: bytes, constants: Mapping[str, Array]) -> bytes:
    """The file of 16 bits that was made of such a file, with the constants in it."""
    if not constants:
        return long
    model = parse(long)
    graph = model.subgraphs[0]
    names = {int(index): graph.tensors[index].name.decode() for index in graph.inputs}
    graph.inputs = [index for index, name in names.items() if name not in constants]
    waiting = [(index, constants[name]) for index, name in names.items() if name in constants]
    while waiting:
        index, numbers = waiting.pop()
        _fill(model, graph.tensors[index], numbers)
        for op in [op for op in graph.operators if op_name(model, op) == "QUANTIZE" and int(op.inputs[0]) == index]:
            waiting.append((int(op.outputs[0]), numbers))
            graph.operators.remove(op)
    for op in graph.operators:
        if hasattr(op.builtinOptions, "potScaleInt16"):
            op.builtinOptions.potScaleInt16 = False  # LiteRT takes a step near a power of 2 for one, and refuses it
    return serialize(model)


def _fill(model: Any, tensor: Any, numbers: Array) -> None:
    """Gives a tensor the numbers, on its grid if it has one."""
    held = np.dtype(dtype_name(tensor))
    if held != np.float32:
        scale, zero = float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])
        limits = np.iinfo(held)
        numbers = (np.rint(numbers.astype(np.float64) / scale) + zero).clip(limits.min, limits.max)
    tensor.buffer = add_buffer(model, numbers.astype(held))
