"""The comparison of two opened sides: match, run, measure, judge, localise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from kerasbn.errors import NotComparableError
from kerasbn_export.verification.changed_places import changed_places
from kerasbn_export.verification.data import given_data, random_data
from kerasbn_export.verification.draw import draw
from kerasbn_export.verification.gates import CALIBRATED, Gate, coarsest, gate_for
from kerasbn_export.verification.growth import allowing_for_growth
from kerasbn_export.verification.half_weights import allowing_for_half_weights
from kerasbn_export.verification.locate import Located, locate
from kerasbn_export.verification.matching import match_sides
from kerasbn_export.verification.moved import moved_on_purpose
from kerasbn_export.verification.network import Network
from kerasbn_export.verification.outputs import judge_outputs
from kerasbn_export.verification.ports import Port, Runnable
from kerasbn_export.verification.records import Comparison, OutputComparison, Status
from kerasbn_export.verification.sides import Batch, Sides


@dataclass(frozen=True)
class Question:
    """What is asked about two sides.

    Attributes:
        data: The inputs; None for random ones.
        seed: The seed of the random inputs.
        samples: How many random inputs at each scale.
        scales: The standard deviations of the random inputs.
        tolerance: In place of the gate's own.
        min_sqnr: In place of the gate's own.
        layers: Whether to compare layer by layer.
    """

    data: Any
    seed: int
    samples: int
    scales: tuple[float, ...]
    tolerance: float | None
    min_sqnr: float | None
    layers: bool


RANDOM = (
    "no layer errs beyond its own grid: the samples are random, and what is in the network may lie far from what the "
    "ranges were measured on; judge the file by real samples (--data, data=)."
)


def compare(reference: Runnable, candidate: Runnable, question: Question) -> Comparison:
    """Compare two sides.

    Raises:
        NotComparableError: Inputs or outputs have no counterpart, or there is nothing to compare.
    """
    sides, inputs, outputs = match_sides(reference, candidate)
    precision = coarsest(reference.precision, candidate.precision)
    gate = gate_for(precision, question.tolerance, question.min_sqnr)
    batches = list(_batches(reference.inputs, [candidate.inputs[i] for i in sides.feeds], precision, question))
    network, note = reference.referee
    records = draw(sides, batches, judge_outputs(sides, batches, gate, network))
    moved = moved_on_purpose(candidate) if question.layers else ""
    located = locate(sides, network, batches, gate, records) if question.layers and network and not moved else None
    if located and network and located.divergence is None:
        records = allowing_for_growth(sides, network, batches, records, located.layers)
        records = allowing_for_half_weights(sides, network, batches, records, located.layers)
    notes = _notes(question, precision, records, located, network)
    return Comparison(
        reference=reference.label,
        candidate=candidate.label,
        precision=precision,
        seed=question.seed if question.data is None else None,
        samples=sum(map(len, batches)),
        inputs=inputs,
        matches=outputs,
        outputs=records,
        per_layer=located.layers if located else (),
        weights=located.weights if located else (),
        first_divergence=located.divergence if located else None,
        coverage=located.coverage if located else (0, 0),
        notes=tuple(text for text in (*_about_ends(sides, batches, gate, records), note, moved, *notes) if text),
    )


def _about_ends(
    sides: Sides, batches: Sequence[Batch], gate: Gate, records: Sequence[OutputComparison]
) -> Iterator[str]:
    """What names tell: signatures that differ, and ends that changed places."""
    ours, theirs = (getattr(side, "signature", "") for side in (sides.reference, sides.candidate))
    if ours and theirs and ours != theirs:
        yield (
            f"signature {ours!r} of the reference was compared with {theirs!r} of the candidate; signature= (on the "
            "command line: --signature) takes another."
        )
    if any(record.status is Status.DIFFERS for record in records):
        yield changed_places(sides, next(batches[0].chunks()), gate)


def _notes(
    question: Question,
    precision: str,
    records: Sequence[OutputComparison],
    located: Located | None,
    network: Network | None,
) -> Iterator[str]:
    if located is not None:
        yield located.note
        coarse = precision in CALIBRATED and question.data is None and not all(records)
        if coarse and located.layers and located.divergence is None:
            yield RANDOM
    if network is not None and network.in_float32:
        names = ", ".join(layer.path for layer in network.in_float32)
        yield f"computed in float32, for want of a float64 kernel: {names}."


def _batches(
    reference: Sequence[Port], candidate: Sequence[Port], precision: str, question: Question
) -> Iterator[Batch]:
    if question.data is not None:
        given = given_data(question.data, reference)
        yield Batch(None, 0, len(given[0]), lambda first, count: [array[first : first + count] for array in given])
        return
    if question.samples < 1:
        raise NotComparableError(f"samples={question.samples}: comparing nothing proves nothing; accepted: at least 1.")
    calibrated = precision in CALIBRATED or any(port.quantization for port in candidate)
    for number, scale in enumerate((1.0,) if calibrated else question.scales):
        drawn = partial(random_data, reference, candidate, seed=question.seed + number, scale=scale)
        yield Batch(scale, number * question.samples, question.samples, drawn)
