"""Puts what REVERSE_V2 gives on the grid that its readers take it to be on.

The converter lets this operation of an int8 file have one grid at its input and another at its output, as where a
CONCATENATION behind it gives its own to all that it takes. The kernels only move bytes, so the numbers become others
without a word: the sequence that comes backward out of a Bidirectional. A QUANTIZE between the two makes it right.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

REVERSE = "REVERSE_V2"


def requantize_reversed(data: bytes) -> bytes:
    """The same file with a QUANTIZE behind every REVERSE_V2 that has two grids.

    Args:
        data: A ``.tflite`` file.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(data)
    wrong = [
        (graph, operator)
        for graph in model.subgraphs
        for operator in graph.operators
        if flatbuffer_utils.opcode_to_name(model, operator.opcodeIndex) == REVERSE and _two_grids(graph, operator)
    ]
    for graph, operator in wrong:
        _requantize(model, graph, operator)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model)) if wrong else data


def _two_grids(graph: Any, operator: Any) -> bool:
    before, after = (graph.tensors[end[0]].quantization for end in (operator.inputs, operator.outputs))
    return _grid(before) is not None and _grid(before) != _grid(after)


def _grid(quantization: Any) -> tuple[list[float], list[int]] | None:
    """Scales and zero points; None for a tensor that is on no grid."""
    if quantization is None or quantization.scale is None or len(quantization.scale) == 0:
        return None
    return np.asarray(quantization.scale).tolist(), np.asarray(quantization.zeroPoint).tolist()


def _requantize(model: Any, graph: Any, operator: Any) -> None:
    from ai_edge_litert import schema_py_generated as schema

    after = int(operator.outputs[0])
    moved = copy.copy(graph.tensors[after])
    moved.quantization = graph.tensors[int(operator.inputs[0])].quantization
    graph.tensors.append(moved)
    quantize = schema.OperatorT()
    quantize.opcodeIndex = _new_quantize(model)
    quantize.inputs, quantize.outputs = [len(graph.tensors) - 1], [after]
    operator.outputs = [len(graph.tensors) - 1]
    graph.operators.insert(graph.operators.index(operator) + 1, quantize)


def _new_quantize(model: Any) -> int:
    """The number of a new code: QUANTIZE from one grid to another."""
    from ai_edge_litert import schema_py_generated as schema

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.QUANTIZE
    code.version = 2
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1
