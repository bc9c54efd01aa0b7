"""Where a file may have another range: the grids that the converter makes from ranges that were measured.

Takes the calibrated float file and what the converter makes of it as it is. An operation that only moves numbers, as a
concatenation or a pooling, gives them on the grid that it takes them on: its tensors are one place. The grid of a place
is that of the range of one of its tensors, its source. A place without a source has a fixed grid, or one by a rule that
is not known here: it stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbn_export.calibration.ranges.methods import STEPS
from kerasbn_export.tflite.flatbuffer import content_of, dtype_name, op_name
from kerasbn_export.tflite.same_grid import SAME_GRID

TOLERANCE = 1e-5
"""Of a scale; a sigmoid in int16x8 has 1/32768, and the range 0 to 1 gives 1/32767."""

Grid = tuple[float, int]
"""Scale and zero point."""


@dataclass(frozen=True)
class Place:
    """Tensors of the calibrated file with one grid.

    Attributes:
        source: The number of the tensor whose range the grid has.
        members: The numbers of all.
        low: The smallest value that the source is said to have, or 0.
        high: The largest, or 0.
    """

    source: int
    members: tuple[int, ...]
    low: float
    high: float


def places(calibrated: Any, quantized: Any, precision: str) -> list[Place]:
    """The places of a file, in the order in which its tensors are computed.

    Args:
        calibrated: The float file with the ranges, as objects.
        quantized: What the converter makes of it, with inputs and outputs of integers.
        precision: ``"int8"`` or ``"int16x8"``.
    """
    measured = dict(_measured(calibrated))
    nodes = _nodes(quantized.subgraphs[0], _quantized_later(quantized))
    groups: dict[int, list[int]] = {}
    shared = _unions(quantized)
    for index in measured:
        name = calibrated.subgraphs[0].tensors[index].name
        if name in nodes:
            groups.setdefault(shared[nodes[name]], []).append(index)
    found = []
    for node, members in groups.items():
        grid = _grid(quantized.subgraphs[0].tensors[node])
        source = next((i for i in members if grid and _gives(measured[i], grid, precision)), None)
        if source is not None:
            found.append(Place(source, tuple(members), *measured[source]))
    return found


def _measured(model: Any) -> Iterator[tuple[int, tuple[float, float]]]:
    """The tensors with a range, as they are computed; 0 is in every range."""
    graph = model.subgraphs[0]
    for index in (*graph.inputs, *(index for op in graph.operators for index in op.outputs)):
        tensor = graph.tensors[index]
        quantization = tensor.quantization
        if dtype_name(tensor) == "float32" and quantization is not None and quantization.min is not None:
            low, high = min(0.0, float(quantization.min[0])), max(0.0, float(quantization.max[0]))
            if len(quantization.min) == 1 and np.isfinite([low, high]).all():
                yield int(index), (low, high)


def _nodes(graph: Any, later: Mapping[int, int]) -> dict[bytes, int]:
    """The tensor on a grid by the name that it has in the float file; only names that are there once."""
    names = [tensor.name for tensor in graph.tensors]
    once = {name: index for index, name in enumerate(names) if names.count(name) == 1}
    return {name: later.get(index, index) for name, index in once.items()}


def _quantized_later(model: Any) -> dict[int, int]:
    """For each float tensor that stays one, the tensor that it is brought to a grid in."""
    graph = model.subgraphs[0]
    converted = [op for op in graph.operators if op_name(model, op) == "QUANTIZE"]
    return {
        int(op.inputs[0]): int(op.outputs[0])
        for op in converted
        if dtype_name(graph.tensors[op.inputs[0]]) == "float32"
    }


def _unions(model: Any) -> list[int]:
    """For each tensor of a quantized file the first of those that are on one grid with it."""
    graph = model.subgraphs[0]
    first = list(range(len(graph.tensors)))
    for op in graph.operators:
        if op_name(model, op) not in SAME_GRID:
            continue
        ends: dict[Grid, set[int]] = {}
        for index in (int(i) for i in (*op.inputs, *op.outputs) if i >= 0):
            grid = None if content_of(model, graph.tensors[index]) else _grid(graph.tensors[index])
            if grid:
                ends.setdefault(grid, set()).add(first[index])
        for joined in (group for group in ends.values() if len(group) > 1):
            first = [min(joined) if each in joined else each for each in first]
    return first


def _grid(tensor: Any) -> Grid | None:
    """The grid of an activation; None if it has none."""
    quantization = tensor.quantization
    if dtype_name(tensor) not in ("int8", "int16") or quantization is None or quantization.scale is None:
        return None
    return (float(quantization.scale[0]), int(quantization.zeroPoint[0])) if len(quantization.scale) == 1 else None


def _gives(measured: tuple[float, float], grid: Grid, precision: str) -> bool:
    """Whether a range gives a grid."""
    low, high = measured
    width = high - low if precision == "int8" else max(-low, high)
    return width > 0 and abs(width / STEPS[precision] - grid[0]) <= TOLERANCE * grid[0]
