"""Says where outputs or inputs of the candidate have changed places, which is how a wrong order of names looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, islice

from kerasbn_export.arrays import Array
from kerasbn_export.verification.outputs.judge import judge
from kerasbn_export.verification.records.gates import Gate
from kerasbn_export.verification.records.measure import measure
from kerasbn_export.verification.records.outputs import Status
from kerasbn_export.verification.sides.ports import Port
from kerasbn_export.verification.sides.sides import Sides

MOST_TRIED = 10
"""Pairs of inputs that are tried in each other's place."""


def changed_places(sides: Sides, arrays: Sequence[Array], gate: Gate) -> str:
    """A sentence that names the ends that changed places; empty if that does not explain all that differs.

    Args:
        sides: The two sides, of which some output differs.
        arrays: Some samples.
        gate: What an output has to reach.
    """
    reference, candidate = sides.reference.run(arrays), sides.candidate.run(sides.for_candidate(arrays))
    wrong = _wrong(sides, reference, candidate, gate)
    found = _rearranged(sides, wrong, reference, candidate, gate)
    if found:
        return _sentence("outputs", found, sides.reference.outputs, sides.candidate.outputs)
    for feeds in islice(_feeds(sides), MOST_TRIED if wrong else 0):
        other = replace(sides, feeds=feeds)
        if not _wrong(other, reference, other.candidate.run(other.for_candidate(arrays)), gate):
            changed = {i: j for i, j in enumerate(feeds) if j != sides.feeds[i]}
            return _sentence("inputs", changed, sides.reference.inputs, sides.candidate.inputs)
    return ""


def _sentence(what: str, found: dict[int, int], ours: Sequence[Port], theirs: Sequence[Port]) -> str:
    pairs = ", ".join(f"{ours[i].name!r} is the candidate's {theirs[j].name!r}" for i, j in found.items())
    return f"{what} changed places: by their numbers {pairs}."


def _wrong(sides: Sides, reference: Sequence[Array], candidate: Sequence[Array], gate: Gate) -> list[int]:
    return [i for i, j in enumerate(sides.pairs) if not _equal(reference[i], candidate[j], gate)]


def _rearranged(
    sides: Sides, wrong: Sequence[int], reference: Sequence[Array], candidate: Sequence[Array], gate: Gate
) -> dict[int, int]:
    """For every output that differs another of the candidate that is right, each taken once; none if one has none."""
    free, found = [sides.pairs[i] for i in wrong], dict[int, int]()
    for i in wrong:
        right = next((j for j in free if _equal(reference[i], candidate[j], gate)), None)
        if right is None:
            return {}
        found[i] = right
        free.remove(right)
    return found


def _equal(reference: Array, candidate: Array, gate: Gate) -> bool:
    same = reference.shape == candidate.shape
    return same and judge(measure(reference, candidate), gate).status is Status.EQUAL


def _feeds(sides: Sides) -> Iterator[tuple[int, ...]]:
    """The pairings of the inputs in which two of one shape and type have changed places."""
    ends = [sides.candidate.inputs[j] for j in sides.feeds]
    for a, b in combinations(range(len(ends)), 2):
        if ends[a].fits(ends[b]) and ends[a].dtype == ends[b].dtype:
            feeds = list(sides.feeds)
            feeds[a], feeds[b] = feeds[b], feeds[a]
            yield tuple(feeds)
