"""Operations that move numbers and that ``litert-quantizer`` does not know: it leaves them in float.

Each number keeps its value, so it may keep its integer::

    x8 -> DEQUANTIZE -> TILE -> QUANTIZE -> y8      is      x8 -> TILE -> y8

where both grids are one, and a QUANTIZE from the one to the other stays where they are not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from kerasbn_export.tflite.flatbuffer import dtype_name, op_name, parse, serialize

MOVING = frozenset({
    "BATCH_TO_SPACE_ND", "DEPTH_TO_SPACE", "EXPAND_DIMS", "REDUCE_MAX", "REVERSE_V2", "SPACE_TO_BATCH_ND", "SQUEEZE",
    "TILE",
})  # fmt: skip
"""Operations whose first input is moved, and whose others are numbers of places."""
SHORT_ONLY = ("DEPTH_TO_SPACE",)
"""Those that LiteRT has no kernel of 16 bits for."""


def moved_in_integers(data: bytes, floats: Collection[str] = ()) -> bytes:
    """The same file, with integers in operations that only move them.

    Args:
        data: A quantized file.
        floats: What those that are to stay in float give, by name.
    """
    model = parse(data)
    for graph in model.subgraphs:
        found = list(_in_float(model, graph, floats))
        while found:
            for op, before in found:
                _move(graph, op, before)
            found = list(_in_float(model, graph, floats))
        read = {int(index) for op in graph.operators for index in op.inputs} | set(map(int, graph.outputs))
        graph.operators = [
            op for op in graph.operators if op_name(model, op) != "DEQUANTIZE" or int(op.outputs[0]) in read
        ]
    return serialize(model)


def _in_float(model: Any, graph: Any, floats: Collection[str]) -> Iterator[tuple[Any, int]]:
    """Such operations between a DEQUANTIZE and nothing but QUANTIZE; and the tensor of integers before."""
    before = {int(op.outputs[0]): int(op.inputs[0]) for op in graph.operators if op_name(model, op) == "DEQUANTIZE"}
    for op in graph.operators:
        name, given = op_name(model, op), before.get(int(op.inputs[0])) if len(op.inputs) else None
        if name not in MOVING or given is None or graph.tensors[op.outputs[0]].name.decode() in floats:
            continue
        behind = [each for each in graph.operators if int(op.outputs[0]) in map(int, each.inputs)]
        short = dtype_name(graph.tensors[given]) == "int8"
        ends = int(op.outputs[0]) in map(int, graph.outputs) or not all(op_name(model, e) == "QUANTIZE" for e in behind)
        if not ends and (short or name not in SHORT_ONLY):
            yield op, given


def _move(graph: Any, op: Any, given: int) -> None:
    source, output = graph.tensors[given], int(op.outputs[0])
    op.inputs = [given, *op.inputs[1:]]
    graph.tensors[output].type, graph.tensors[output].quantization = source.type, source.quantization
    behind = [each for each in graph.operators if output in map(int, each.inputs)]  # each a QUANTIZE
    if len(behind) == 1 and _same_grid(source, graph.tensors[behind[0].outputs[0]]):
        op.outputs = [int(behind[0].outputs[0])]
        graph.operators.remove(behind[0])


def _same_grid(one: Any, other: Any) -> bool:
    pairs = ((grid.quantization.scale, grid.quantization.zeroPoint) for grid in (one, other))
    (scale, zero), (its_scale, its_zero) = pairs
    return bool(one.type == other.type and list(scale) == list(its_scale) and list(zero) == list(its_zero))
