"""Ranges that hold what is chosen from: the converter gives an operation that chooses one grid for all its sides.

``max(x, 0.1 x)`` gives values from ``0.1 low`` to ``high``, and the grid is that of what it gives. So ``x`` loses its
values below ``0.1 low``, and ``0.1 x`` is computed of what is left: a leaky ReLU that is written so had 18.6 dB where
the layer has 31.7, and ``max(x, -x)`` had 1.8. A side that something else reads, too, keeps all its values:

    range of what is given = range of what is given, and of each side with another reader

A side with no other reader may lose what lies outside: it is not chosen there. What only moves numbers behind the
operation shares the grid, and gets the range, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np

from kerasbn_export.calibration.ranges.places import SAME_GRID
from kerasbn_export.tflite.flatbuffer import has_any, op_name, parse, serialize

CHOOSING = ("MAXIMUM", "MINIMUM", "SELECT", "SELECT_V2")

Range = tuple[float, float]


def holding_what_is_chosen_from(
    data: bytes, measured: bytes | None = None, sources: Collection[int] = frozenset()
) -> bytes:
    """The same file with wider ranges where an operation chooses.

    Args:
        data: A float file with ranges.
        measured: The same file with the ranges as measured, where ``data`` has others.
        sources: The numbers of the tensors whose values the others were made from; the rest has those of its grid.
    """
    if not has_any(data, CHOOSING):
        return data
    model, before = parse(data), parse(measured or data).subgraphs[0]
    graph = model.subgraphs[0]
    readers = Counter(int(index) for op in graph.operators for index in op.inputs) + Counter(map(int, graph.outputs))
    wide: dict[int, Range] = {}
    for op in graph.operators:
        sides = [int(index) for index in op.inputs if index >= 0]
        wanted = [wide[index] for index in sides if index in wide] if op_name(model, op) in SAME_GRID else []
        if op_name(model, op) in CHOOSING:
            kept = [(graph if index in sources else before).tensors[index] for index in sides if readers[index] > 1]
            own = [_range(tensor) for tensor in kept]
            wanted += [limits for limits in own if limits is not None]
        for index in map(int, op.outputs):
            given = _range(graph.tensors[index])
            if given is not None and wanted:
                lows, highs = zip(given, *wanted, strict=True)
                if (min(lows), max(highs)) != given:
                    wide[index] = min(lows), max(highs)
    for index, (low, high) in wide.items():
        quantization = graph.tensors[index].quantization
        quantization.min, quantization.max = np.array([low], np.float32), np.array([high], np.float32)
    return serialize(model) if wide else data


def _range(tensor: Any) -> Range | None:
    """What was measured of a tensor; None for a constant, and for what is no number."""
    quantization = tensor.quantization
    if quantization is None or quantization.min is None or len(quantization.min) != 1:
        return None
    return float(quantization.min[0]), float(quantization.max[0])
