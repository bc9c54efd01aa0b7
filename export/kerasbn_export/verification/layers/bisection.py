"""Finds the first wrong operation of a file where keeping its tensors changes what it computes.

A delegate may compute something else when it is asked for every tensor. Then the file is cut: its first n operations,
with all that the others take as outputs, run as the whole file runs. If their outputs differ from the kept ones, so do
those of every longer piece: the least n that differs is found in ``1 + log2(operations)`` runs, 10 for up to 512.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kerasbn_export.arrays import Array
from kerasbn_export.tflite.flatbuffer import parse, serialize
from kerasbn_export.tflite.graph import TFLiteGraph
from kerasbn_export.verification.outputs.judge import judge_distance
from kerasbn_export.verification.records.gates import Gate
from kerasbn_export.verification.records.measure import Measurement, measure
from kerasbn_export.verification.records.outputs import Status
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner


@dataclass(frozen=True)
class Bisected:
    """The first operation whose result differs from the one kept.

    Attributes:
        number: The operation, counted from 0.
        tensor: The tensor it gives.
        error: The largest difference there, as a part of the largest value kept.
        runs: How many pieces of the file were run.
    """

    number: int
    tensor: str
    error: float
    runs: int


def least(count: int, differs: Callable[[int], bool]) -> int:
    """The least n from 1 to ``count`` for which ``differs(n)``, taking for granted that it does for ``count``."""
    low, high = 1, count
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if differs(middle) else (middle + 1, high)
    return low


def bisect(candidate: TFLiteRunner, arrays: Sequence[Array], gate: Gate) -> Bisected | None:
    """The first operation that differs from the run that keeps all tensors; None if the whole file does not.

    Args:
        candidate: The file on its backend.
        arrays: One batch of inputs.
        gate: What a tensor has to reach.
    """
    graph = candidate.graph
    kept = {index: load() for index, (_, load) in candidate.kept(graph.dependent, arrays).items()}
    found: dict[int, tuple[int, Measurement] | None] = {}

    def differs(count: int) -> bool:
        found[count] = _difference(candidate, kept, count, arrays, gate)
        return found[count] is not None

    if not differs(len(graph.operations)):
        return None
    first = found[least(len(graph.operations), differs)]
    if first is None:
        return None
    index, measured = first
    number = next(i for i, operation in enumerate(graph.operations) if index in operation.outputs)
    return Bisected(number, graph.tensors[index].name, measured.relative, len(found))


def _difference(
    candidate: TFLiteRunner, kept: dict[int, Array], count: int, arrays: Sequence[Array], gate: Gate
) -> tuple[int, Measurement] | None:
    """The tensor that the first operations give and that differs from the one kept, the last such."""
    piece = TFLiteRunner(cut(candidate.content, count), candidate.label, candidate.backend)
    indices = frontier(candidate.graph, count)
    given = dict(zip(candidate.stored(arrays, len(arrays[0])), arrays, strict=True))
    ordered = [given[i] for i in piece.stored(arrays, len(arrays[0]))]  # a piece has no signature that orders them
    pairs = zip(indices, piece.first_batch(indices, ordered, keep=False), strict=True)
    found = [(index, measure(kept[index], array)) for index, array in pairs if index in kept]
    wrong = [(index, measured) for index, measured in found if judge_distance(measured, gate).status is Status.DIFFERS]
    return wrong[-1] if wrong else None


def frontier(graph: TFLiteGraph, count: int) -> list[int]:
    """The tensors that the first operations give and that others take, or that are outputs."""
    given = [i for operation in graph.operations[:count] for i in operation.outputs if i in set(graph.dependent)]
    taken = {i for operation in graph.operations[count:] for i in operation.inputs}.union(graph.outputs)
    return [i for i in given if i in taken]


def cut(content: bytes, count: int) -> bytes:
    """The file with its first operations only.

    Args:
        content: The file.
        count: How many operations to leave.
    """
    model = parse(content)
    main = model.subgraphs[0]
    main.outputs = frontier(TFLiteGraph(content, "the file"), count)
    main.operators = main.operators[:count]
    model.signatureDefs = []
    return serialize(model)
