"""Mends what the converter is known to write wrong, without a word.

**Reversed sequences.** REVERSE_V2 of an int8 file may get one grid at its input and another at its output, as where a
CONCATENATION behind it gives its own to all that it takes. The kernel only moves bytes, so the numbers become others:
those of the sequence that comes backward out of a Bidirectional. A QUANTIZE between the two makes them right.

**Shared states.** An operation that keeps a state has a variable for it, which is zero at first. The converter gives it
to others as well that take a zero of the same shape: a GRU behind an LSTM starts from the state of that. Each of the
others gets a zero of its own.

**Clipped cells.** The converter fuses an LSTM of Keras 2 into one operation that clips its cell at 10. Keras does not
clip, and the cell of a trained LSTM goes further than that: 1 % was measured at the output of one that hears digits.

**Shared biases.** Two layers with equal biases get one tensor in int16x8, on the grid of the first. For the second
these are other numbers: 8 dB were measured where a bias of its own has 46.

**Short biases.** Where ranges of 16 bits are trained the bias of a linear operation is int32, and LiteRT gives other
numbers: 4 dB were measured where int64 biases, as the converter writes after a calibration, have 84. Where all numbers
of such a bias are equal, the converter puts all of them on the grid of the first channel.

**Sigmoids of 16 bits.** Where ranges of 16 bits are trained, or single layers have 16 bits, the result of LOGISTIC gets
a grid from 0 to 1. LiteRT has one from -1 to 1 and prepares no other.

**One scale behind floats.** LiteRT's depthwise convolution of floats by int8 reads a scale for each channel, also where
the kernel has one for all: it takes whatever lies behind that in memory, and -670 dB were measured. Such a kernel gets
the same scale for each channel.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasbn_export.tflite.flatbuffer import (
    add_buffer,
    content_of,
    dtype_name,
    has_any,
    new_code,
    op_name,
    parse,
    schema,
    serialize,
)
from kerasbn_export.tflite.graph import LINEAR_OPS, TRANSPOSED_OPS

REVERSE, DEPTHWISE = "REVERSE_V2", "DEPTHWISE_CONV_2D"
KEEPING = ("UNIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN", "BIDIRECTIONAL_SEQUENCE_LSTM", "LSTM")
"""Operations that keep a state."""
SIGMOID = ([2.0**-15], [0])
"""Scale and zero point."""

Mend = Callable[[Any, Any], bool]
"""Changes one subgraph of a model, and says whether there was anything to change."""


def mended(data: bytes) -> bytes:
    """The same file, right where the converter is known to be wrong.

    Args:
        data: A ``.tflite`` file.
    """
    if not (has_any(data, (REVERSE, DEPTHWISE, *KEEPING)) or _has_16_bits(data)):
        return data
    model = parse(data)
    mends = (
        requantize_reversed,
        separate_states,
        unclip_cells,
        widen_biases,
        separate_biases,
        regrid_sigmoids,
        repeat_scales,
    )
    changed = [mend(model, graph) for mend in mends for graph in model.subgraphs]
    return serialize(model) if any(changed) else data


def _has_16_bits(data: bytes) -> bool:
    """Whether a file has a tensor of 16 bits; it is not read as a whole."""
    graph = schema().Model.GetRootAs(data, 0).Subgraphs(0)
    return any(graph.Tensors(i).Type() == schema().TensorType.INT16 for i in range(graph.TensorsLength()))


def regrid_sigmoids(model: Any, graph: Any) -> bool:
    """Gives the result of every LOGISTIC of 16 bits the grid that LiteRT's kernel writes on.

    Args:
        model: The model of the file.
        graph: One of its subgraphs.
    """
    results = [graph.tensors[op.outputs[0]] for op in graph.operators if op_name(model, op) == "LOGISTIC"]
    wrong = [tensor for tensor in results if dtype_name(tensor) == "int16" and _grid(tensor.quantization) != SIGMOID]
    for tensor in wrong:
        tensor.quantization = copy.copy(tensor.quantization)
        tensor.quantization.scale = np.array(SIGMOID[0], np.float32)
        tensor.quantization.zeroPoint = np.array(SIGMOID[1], np.int64)
    return bool(wrong)


def requantize_reversed(model: Any, graph: Any) -> bool:
    """A QUANTIZE behind every REVERSE_V2 that has two grids."""
    reversing = [operator for operator in graph.operators if op_name(model, operator) == REVERSE]
    wrong = [operator for operator in reversing if _has_two_grids(graph, operator)]
    for operator in wrong:
        _requantize(model, graph, operator)
    return bool(wrong)


def separate_states(model: Any, graph: Any) -> bool:
    """A variable or a zero of its own for every operation that takes the variable of another."""
    taken: set[int] = set()
    changed = False
    for operator in sorted(graph.operators, key=lambda operator: op_name(model, operator) not in KEEPING):
        for place, index in enumerate(operator.inputs):
            if index < 0 or not graph.tensors[index].isVariable:
                continue
            if index in taken:
                operator.inputs[place] = _add_zero(model, graph, index, variable=op_name(model, operator) in KEEPING)
                changed = True
            taken.add(int(index))
    return changed


def unclip_cells(model: Any, graph: Any) -> bool:
    """No clipping, which is 0, for the cell of every LSTM."""
    options = [operator.builtinOptions for operator in graph.operators if op_name(model, operator) in KEEPING]
    clipped = [each for each in options if getattr(each, "cellClip", 0.0)]
    for each in clipped:
        each.cellClip = 0.0
    return bool(clipped)


def separate_biases(model: Any, graph: Any) -> bool:
    """A bias of its own for every linear operation that takes one on the grid of another.

    The stored numbers are ``bias / (s_x * s_w)`` for the scales of the operation's own input and kernel.
    """
    changed = False
    for operator in [operator for operator in graph.operators if op_name(model, operator) in LINEAR_OPS]:
        places = _places(model, operator)
        taken, kernel, bias = (_taken(graph, operator, place) for place in places)
        if bias is None:
            continue
        grids = [_grid(tensor.quantization) for tensor in (taken, kernel, bias)]
        if taken.type != schema().TensorType.INT16 or None in grids:
            continue
        (step,), steps, held = (np.asarray(grid[0], np.float64) for grid in grids if grid is not None)
        if np.allclose(held, step * steps, rtol=1e-4, atol=0):
            continue
        operator.inputs = [*operator.inputs[: places[2]], _add_bias(model, graph, bias, held, step * steps)]
        changed = True
    return changed


def _places(model: Any, operator: Any) -> tuple[int, int, int]:
    """Where a linear operation has its input, its kernel and its bias."""
    return (2, 1, 3) if op_name(model, operator) in TRANSPOSED_OPS else (0, 1, 2)


def _taken(graph: Any, operator: Any, place: int) -> Any:
    """The tensor that an operation takes; None where it takes none there."""
    there = len(operator.inputs) > place and operator.inputs[place] >= 0
    return graph.tensors[operator.inputs[place]] if there else None


def _add_bias(model: Any, graph: Any, bias: Any, before: np.ndarray[Any, Any], after: np.ndarray[Any, Any]) -> int:
    """The number of a new tensor with the same real numbers on another grid."""
    stored = np.frombuffer(content_of(model, bias), dtype_name(bias))
    moved = copy.copy(bias)
    moved.buffer = add_buffer(model, np.rint(stored * before / after).astype(np.int64))
    moved.type, moved.quantization = schema().TensorType.INT64, copy.copy(bias.quantization)
    moved.quantization.scale = after.astype(np.float32)
    moved.quantization.zeroPoint = np.zeros(len(after), np.int64)
    graph.tensors.append(moved)
    return len(graph.tensors) - 1


def widen_biases(model: Any, graph: Any) -> bool:
    """64 bits for the bias of every linear operation that takes 16."""
    types, found = schema().TensorType, dict[int, Any]()
    for operator in [operator for operator in graph.operators if op_name(model, operator) in LINEAR_OPS]:
        taken, _, bias = (_taken(graph, operator, place) for place in _places(model, operator))
        if bias is not None and taken.type == types.INT16 and bias.type == types.INT32:
            found[id(bias)] = bias
    for bias in found.values():
        wide = np.frombuffer(content_of(model, bias), np.int32).astype(np.int64)
        scales = np.asarray(bias.quantization.scale, np.float64)
        if len(scales) == len(wide) and np.all(wide == wide[0]):
            wide = np.rint(wide[0] * scales[0] / scales).astype(np.int64)
        bias.buffer, bias.type = add_buffer(model, wide), types.INT64
    return bool(found)


def repeat_scales(model: Any, graph: Any) -> bool:
    """A scale for each channel of the int8 kernel of every depthwise convolution that takes floats."""
    types, found = schema().TensorType, dict[int, Any]()
    for operator in [operator for operator in graph.operators if op_name(model, operator) == DEPTHWISE]:
        taken, kernel = (graph.tensors[index] for index in operator.inputs[:2])
        grid = _grid(kernel.quantization)
        if taken.type == types.FLOAT32 and kernel.type == types.INT8 and grid is not None and len(grid[0]) == 1:
            found[id(kernel)] = kernel
    for kernel in found.values():
        grid, channels = copy.copy(kernel.quantization), kernel.shape[-1]
        grid.scale, grid.zeroPoint = (np.repeat(values, channels) for values in (grid.scale, grid.zeroPoint))
        grid.quantizedDimension = len(kernel.shape) - 1
        kernel.quantization = grid
    return bool(found)


def _has_two_grids(graph: Any, operator: Any) -> bool:
    before, after = (_grid(graph.tensors[end[0]].quantization) for end in (operator.inputs, operator.outputs))
    return before is not None and before != after


def _grid(quantization: Any) -> tuple[list[float], list[int]] | None:
    """Scales and zero points; None for a tensor that is on no grid."""
    if quantization is None or quantization.scale is None or len(quantization.scale) == 0:
        return None
    return np.asarray(quantization.scale).tolist(), np.asarray(quantization.zeroPoint).tolist()


def _requantize(model: Any, graph: Any, operator: Any) -> None:
    after = int(operator.outputs[0])
    moved = copy.copy(graph.tensors[after])
    moved.quantization = graph.tensors[int(operator.inputs[0])].quantization
    graph.tensors.append(moved)
    quantize = schema().OperatorT()
    quantize.opcodeIndex = new_code(model, "QUANTIZE", 2)  # from one grid to another
    quantize.inputs, quantize.outputs = [len(graph.tensors) - 1], [after]
    operator.outputs = [len(graph.tensors) - 1]
    graph.operators.insert(graph.operators.index(operator) + 1, quantize)


def _add_zero(model: Any, graph: Any, index: int, *, variable: bool) -> int:
    """The number of a new tensor like another, a variable or a constant of the real value zero."""
    zero = copy.copy(graph.tensors[index])
    zero.isVariable = variable
    if not variable:
        zero.buffer = add_buffer(model, _stored_zero(zero))
    graph.tensors.append(zero)
    return len(graph.tensors) - 1


def _stored_zero(tensor: Any) -> np.ndarray[Any, Any]:
    grid = _grid(tensor.quantization)
    return np.full(tensor.shape, grid[1][0] if grid else 0, dtype_name(tensor))
