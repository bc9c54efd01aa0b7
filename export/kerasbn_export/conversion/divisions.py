"""Divisions that an int8 file must not have: those by what 8 bits round to 0.

A grid of 8 bits has a step of ``s = (high - low)/255`` and holds 0. A divisor below half a step is 0 on it, and TFLite
stops there: ``data[i] != zero_point was not true``. A divisor of a few steps is wrong by a large part of itself. So a
division stays in float where its divisor may be small:

    min|d| < STEPS * s

What computes the two sides, and nothing else, stays in float with it, back to the layers with weights: the divisor of a
linear attention is a product of two tensors, and is 0 on the grid of that product already.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from kerasbn_export.tflite.flatbuffer import has_any, op_name, parse

STEPS = 4
"""Steps that the smallest divisor has to have: of four, half a step is an eighth."""
LEVELS = 255
WEIGHTED = ("CONV_2D", "CONV_3D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


def divisions_in_float(calibrated: bytes) -> list[str]:
    """The names by which the converter knows the operations that stay in float.

    Args:
        calibrated: A float file with the ranges of its tensors.
    """
    if not has_any(calibrated, ("DIV",)):
        return []
    model = parse(calibrated)
    graph = model.subgraphs[0]
    readers = defaultdict[int, list[Any]](list)
    for op in graph.operators:
        for index in op.inputs:
            readers[int(index)].append(op)
    kept: dict[int, str] = {}
    for op in reversed(graph.operators):
        takers = [taker for index in op.outputs for taker in readers[int(index)]]
        if _divides_by_little(model, op) or _serves(model, op, takers, kept):
            kept |= {int(index): graph.tensors[index].name.decode() for index in op.outputs}
    return list(kept.values())


def _divides_by_little(model: Any, op: Any) -> bool:
    return op_name(model, op) == "DIV" and _may_vanish(model.subgraphs[0].tensors[op.inputs[1]])


def _serves(model: Any, op: Any, takers: Sequence[Any], kept: Collection[int]) -> bool:
    """Whether an operation without weights computes for operations in float alone."""
    ends = {int(index) for index in model.subgraphs[0].outputs}
    if op_name(model, op) in WEIGHTED or any(int(index) in ends for index in op.outputs):
        return False
    return bool(takers) and all(any(int(index) in kept for index in taker.outputs) for taker in takers)


def _may_vanish(divisor: Any) -> bool:
    """Whether a divisor may be few steps from 0, by its range; a constant has none, and is a number that divides."""
    ends = [getattr(divisor.quantization, end, None) for end in ("min", "max")]
    known = [float(end[0]) for end in ends if end is not None and len(end) == 1]
    if len(known) < len(ends):
        return False
    low, high = known
    return max(low, -high, 0.0) < STEPS * (max(high, 0.0) - min(low, 0.0)) / LEVELS
