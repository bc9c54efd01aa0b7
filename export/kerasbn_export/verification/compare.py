"""The comparison of two opened sides: match, run, measure, judge, localise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from kerasbn.errors import NotComparableError
from kerasbn_export.metrics.score import Measuring
from kerasbn_export.precision import CALIBRATED, coarsest
from kerasbn_export.verification.appeals.case import Case
from kerasbn_export.verification.appeals.growth import allowing_for_growth
from kerasbn_export.verification.appeals.half_weights import allowing_for_half_weights
from kerasbn_export.verification.checks import Checks
from kerasbn_export.verification.layers.locate import Located, locate
from kerasbn_export.verification.layers.moved import moved_on_purpose
from kerasbn_export.verification.network.network import Network
from kerasbn_export.verification.outputs.changed_places import changed_places
from kerasbn_export.verification.outputs.outputs import judge_outputs
from kerasbn_export.verification.outputs.scored import measured
from kerasbn_export.verification.outputs.trained import as_trained
from kerasbn_export.verification.records.comparison import Comparison
from kerasbn_export.verification.records.gates import Gate, gate_for
from kerasbn_export.verification.records.outputs import OutputComparison, Status
from kerasbn_export.verification.report.draw import draw
from kerasbn_export.verification.sides.data import given_data, random_data
from kerasbn_export.verification.sides.matching import match_sides
from kerasbn_export.verification.sides.ports import Port, Runnable
from kerasbn_export.verification.sides.sides import Batch, Sides


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
        measuring: The user's metric; None for none.
    """

    data: Any
    seed: int
    samples: int
    scales: tuple[float, ...]
    tolerance: float | None
    min_sqnr: float | None
    layers: bool
    measuring: Measuring | None = None


RANDOM = (
    "no layer errs beyond its own grid, and the samples are random: what is in the network may lie far from what the "
    "ranges were measured on. Give real samples (--data, data=)."
)
RANDOM_DYNAMIC = (
    "no layer is wrong by its own inputs, and the samples are random: they may lead the network where rounding counts "
    "for more than it does on real ones. Give real samples (--data, data=)."
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
    checks, extras = Checks(), Checks()
    none: tuple[OutputComparison, ...] = ()
    records = checks.run("outputs", lambda: judge_outputs(sides, batches, gate, network), none)
    drawn = extras.run("no pictures", lambda: draw(sides, batches, records), records)
    moved = (
        checks.run("the file's record", lambda: moved_on_purpose(candidate, reference), "") if question.layers else ""
    )
    located: Located | None = None
    if question.layers and network and not moved and records:
        located = checks.run("layers", lambda: locate(sides, network, batches, gate, drawn), None)
    records = _settled(drawn, sides, network, batches, located, checks)
    if located and question.data is None and (unproven := _unproven(located, precision)):
        records, located = _without_data(records, unproven), replace(located, divergence=None)
    records = checks.run("trained ranges", lambda: as_trained(reference, candidate, records), records)
    said: list[str] = extras.run("names not compared", lambda: list(_about_ends(sides, batches, gate, records)), [])
    metric = None if question.measuring is None else measured(sides, batches, question.measuring)
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
        notes=tuple(text for text in (*said, note, moved, *_notes(located, network), *extras.failures) if text),
        failures=tuple(checks.failures),
        metric=metric,
    )


def _settled(
    records: Sequence[OutputComparison],
    sides: Sides,
    network: Network | None,
    batches: Sequence[Batch],
    located: Located | None,
    checks: Checks,
) -> tuple[OutputComparison, ...]:
    """The outputs; equal, where no layer is wrong and rounding explains them."""
    found = tuple(records)
    if not located or not network or located.divergence:
        return found
    case = Case(sides, network, batches, located.layers)
    for what, allowing in (("how rounding grows", allowing_for_growth), ("half weights", allowing_for_half_weights)):
        found = checks.run(what, partial(allowing, case, found), found)
    return found


def _unproven(located: Located, precision: str) -> str:
    """Why random samples prove nothing against a file of which no layer is wrong; empty where they do.

    With measured ranges a layer whose rounding is not known may clip: of these no error counts. In a dynamic file
    nothing clips.
    """
    if precision not in (*CALIBRATED, "dynamic") or not located.layers:
        return ""
    wrong = [layer for layer in located.layers if not layer.passed and not layer.moved]
    if precision in CALIBRATED:
        return "" if any(layer.rounding is not None for layer in wrong) else RANDOM
    return "" if wrong or located.divergence else RANDOM_DYNAMIC


def _without_data(records: Sequence[OutputComparison], why: str) -> tuple[OutputComparison, ...]:
    """The outputs, of which a wrong one proves nothing."""
    return tuple(
        replace(record, status=Status.UNPROVEN, reason=f"{record.reason.rstrip('.')}; {why}")
        if record.status is Status.DIFFERS
        else record
        for record in records
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


def _notes(located: Located | None, network: Network | None) -> Iterator[str]:
    if located is not None:
        yield located.note
    if network is not None and network.in_float32:
        names = ", ".join(layer.path for layer in network.in_float32)
        yield f"computed in float32, for want of a float64 kernel or a get_config() that tells all: {names}."


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
