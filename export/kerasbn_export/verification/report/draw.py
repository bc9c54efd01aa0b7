"""Runs the samples around the worst one once more, to draw them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from kerasbn_export.arrays import Array
from kerasbn_export.verification.records.outputs import OutputComparison
from kerasbn_export.verification.records.sketch import picture
from kerasbn_export.verification.sides.sides import Batch, Sides

Drawn = dict[tuple[int, str], tuple[Array, Array]]


def draw(sides: Sides, batches: Sequence[Batch], outputs: Sequence[OutputComparison]) -> tuple[OutputComparison, ...]:
    """The same records with their pictures.

    The samples drawn are those that run together with the worst one, so that the pictures cost one run, whatever the
    number of samples.
    """
    runs: dict[int, Drawn] = {}
    numbers = accumulate(record.stage == "output" for record in outputs)
    return tuple(
        _drawn(sides, batches, number - 1, record, runs) for number, record in zip(numbers, outputs, strict=True)
    )


def _drawn(
    sides: Sides, batches: Sequence[Batch], output: int, record: OutputComparison, runs: dict[int, Drawn]
) -> OutputComparison:
    worst = record.measurement.worst_sample
    batch = next(b for b in batches if b.start <= worst < b.start + len(b))
    start, part = batch.chunk_of(worst)
    if start not in runs:
        runs[start] = {(i, stage): (r, c) for i, stage, r, c in sides.run(part)}
    reference, candidate = runs[start][output, record.stage]
    inputs = [(port.name, array[worst - start]) for port, array in zip(sides.reference.inputs, part, strict=True)]
    return replace(record, picture=picture(reference, candidate, worst - start, worst, inputs))
