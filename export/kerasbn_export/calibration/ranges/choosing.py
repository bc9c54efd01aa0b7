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
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from kerasbn_export.tflite.flatbuffer import has_any, op_name, parse, serialize
from kerasbn_export.tflite.same_grid import SAME_GRID

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
    model = parse(data)
    own = [_range(tensor) for tensor in parse(measured or data).subgraphs[0].tensors]
    for index in sources:
        own[index] = _range(model.subgraphs[0].tensors[index])
    wide = _widened(model, own)
    for index, (low, high) in wide.items():
        quantization = model.subgraphs[0].tensors[index].quantization
        quantization.min, quantization.max = np.array([low], np.float32), np.array([high], np.float32)
    return serialize(model) if wide else data


def _widened(model: Any, own: Sequence[Range | None]) -> dict[int, Range]:
    """The ranges that become wider, by the number of the tensor.

    Args:
        model: The float file.
        own: For each tensor the range of its own values.
    """
    graph, wide = model.subgraphs[0], dict[int, Range]()
    readers = Counter(int(index) for op in graph.operators for index in op.inputs) + Counter(map(int, graph.outputs))
    for op in graph.operators:
        name, sides = op_name(model, op), [int(index) for index in op.inputs if index >= 0]
        held = [wide.get(index) for index in sides] if name in SAME_GRID else []
        held += [own[index] for index in sides if readers[index] > 1] if name in CHOOSING else []
        for index in map(int, op.outputs):
            given = _range(graph.tensors[index])
            if given is not None:
                lows, highs = zip(given, *(limits for limits in held if limits), strict=True)
                wide |= {index: (min(lows), max(highs))} if (min(lows), max(highs)) != given else {}
    return wide


def _range(tensor: Any) -> Range | None:
    """What was measured of a tensor; None for a constant, and for what is no number."""
    quantization = tensor.quantization
    if quantization is None or quantization.min is None or len(quantization.min) != 1:
        return None
    return float(quantization.min[0]), float(quantization.max[0])
