"""The judge: a measurement and a gate in, an answer with its reason out. Pure numbers."""

from __future__ import annotations

from dataclasses import dataclass

from kerasbn_export.verification.records.gates import Gate
from kerasbn_export.verification.records.measure import Content, Measurement
from kerasbn_export.verification.records.outputs import RefereeFinding, Status

CHANCE = 1.5
"""How many times further from float64 than another one rounding of the same function may be by chance."""


@dataclass(frozen=True)
class Judgement:
    """An answer with its reason, and the referee's finding if that decided it."""

    status: Status
    reason: str
    referee: RefereeFinding | None = None


def judge(found: Measurement, gate: Gate) -> Judgement:
    """Judge an output by its gate, and never let one pass from which nothing can be learned."""
    candidate, reference = found.candidate_content, found.reference_content
    answer = judge_distance(found, gate)
    if candidate is not reference and candidate is not Content.VARIES:
        unproven = candidate is Content.CONSTANT and answer.status is Status.EQUAL
        return Judgement(
            Status.UNPROVEN if unproven else Status.DIFFERS,
            f"the candidate is {candidate.value}; the reference is not"
            + (", but varies less than the gate can tell; give other data." if unproven else "."),
        )
    if reference is Content.NOT_FINITE:
        return Judgement(Status.UNPROVEN, "the reference is not finite on this data.")
    if reference is not Content.VARIES and answer.status is Status.EQUAL:
        return Judgement(
            Status.UNPROVEN, f"the reference is {reference.value} on this data, which proves nothing; give other data."
        )
    return answer


def judge_distance(found: Measurement, gate: Gate) -> Judgement:
    """Judge by the gate alone."""
    if gate.tolerance is not None and not found.relative <= gate.tolerance:
        return Judgement(
            Status.DIFFERS,
            f"max|difference| is {found.relative:.3g} of max|reference| {found.max_reference:.4g} "
            f"(sample {found.worst_sample}); accepted: {gate.tolerance:g}.",
        )
    if gate.min_sqnr is not None and not found.sqnr_db >= gate.min_sqnr:
        return Judgement(
            Status.DIFFERS,
            f"SQNR is {found.sqnr_db:.1f} dB (worst sample {found.worst_sample}); "
            f"accepted: at least {gate.min_sqnr:g} dB.",
        )
    if gate.tolerance is None:
        return Judgement(Status.EQUAL, f"SQNR is {found.sqnr_db:.1f} dB.")
    return Judgement(Status.EQUAL, f"max|difference| is {found.relative:.3g} of max|reference|.")


def appeal(
    first: Judgement, gate: Gate, reference: Measurement, candidate: Measurement, own: Measurement | None = None
) -> Judgement:
    """Judge again by float64: the candidate passes if it is right, or no further off than rounding makes the reference.

    Args:
        first: The judgement of the candidate against the reference.
        gate: What the output must reach.
        reference: The distance of the reference from float64.
        candidate: The distance of the candidate from float64.
        own: The distance of the reference in float32 from float64, where the reference itself computes in less.
    """
    informative = candidate.reference_content is candidate.candidate_content is Content.VARIES
    if gate.tolerance is None or not informative:
        return first
    explained = None if own is None else CHANCE * own.relative
    return judge_referee(first, gate.tolerance, RefereeFinding(reference.relative, candidate.relative, explained))


def judge_referee(first: Judgement, tolerance: float, finding: RefereeFinding) -> Judgement:
    """Judge by what the referee found."""
    reference, candidate = finding.reference_error, finding.candidate_error
    errors = f"error against float64: reference {reference:.3g}, candidate {candidate:.3g}."
    if candidate <= tolerance:
        return Judgement(Status.EQUAL, f"the reference is the inaccurate side; {errors}", finding)
    if finding.explained is not None:
        explained = f"rounding in float32 explains {finding.explained:.3g}; {errors}"
        if candidate <= finding.explained:
            return Judgement(Status.EQUAL, explained, finding)
        return Judgement(Status.DIFFERS, f"{first.reason[:-1]}; {explained}", finding)
    if candidate <= reference:
        return Judgement(Status.EQUAL, f"the reference is the less accurate side; {errors}", finding)
    if candidate <= CHANCE * reference:
        return Judgement(Status.EQUAL, f"the reference is as inaccurate; {errors}", finding)
    return Judgement(Status.DIFFERS, f"{first.reason[:-1]}; the candidate is the wrong side; {errors}", finding)
