"""The comparison of two opened sides: match, run, measure, judge, localise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kerasbn_export.verify.data import given_data, random_data
from kerasbn_export.verify.gates import Gate, coarsest, gate_for
from kerasbn_export.verify.judge import Judgement, appeal, judge
from kerasbn_export.verify.locate import locate
from kerasbn_export.verify.matching import match_ports
from kerasbn_export.verify.measure import Measure, Measurement
from kerasbn_export.verify.network import Network
from kerasbn_export.verify.ports import Array, Runnable
from kerasbn_export.verify.records import Comparison, OutputComparison, Status

CHUNK = 8
"""Samples run at a time: memory does not grow with their number."""


@dataclass(frozen=True)
class Question:
    """What is asked about two sides.

    Attributes:
        data: The inputs; None for random ones.
        seed: The seed of the random inputs.
        samples: How many random inputs.
        tolerance: In place of the gate's own.
        min_sqnr: In place of the gate's own.
        layers: Whether to compare layer by layer.
    """

    data: Any
    seed: int
    samples: int
    tolerance: float | None
    min_sqnr: float | None
    layers: bool


@dataclass(frozen=True)
class _Output:
    """One output, or what goes into its softmax or sigmoid: what both sides gave."""

    index: int
    stage: str
    found: Measurement


def compare(reference: Runnable, candidate: Runnable, question: Question) -> Comparison:
    """Compare two sides.

    Raises:
        NotComparableError: Inputs or outputs have no counterpart, or there is nothing to compare.
    """
    feeds, inputs = match_ports(reference.inputs, candidate.inputs, "input")
    pairs, outputs = match_ports(reference.outputs, candidate.outputs, "output")
    precision = coarsest(reference.precision, candidate.precision)
    gate = gate_for(precision, question.tolerance, question.min_sqnr)
    if question.data is None:
        ordered = [candidate.inputs[i] for i in feeds]
        arrays = random_data(reference.inputs, ordered, question.samples, question.seed)
    else:
        arrays = given_data(question.data, reference.inputs)
    sides = Sides(reference, candidate, feeds, pairs)
    network, note = reference.referee
    records = tuple(_judged(sides, arrays, gate, network))
    located = locate(sides, network, arrays, gate, records) if question.layers and network else None
    return Comparison(
        reference=reference.label,
        candidate=candidate.label,
        precision=precision,
        seed=question.seed if question.data is None else None,
        inputs=inputs,
        matches=outputs,
        outputs=records,
        per_layer=located.layers if located else (),
        first_divergence=located.divergence if located else None,
        coverage=located.coverage if located else (0, 0),
        notes=tuple(text for text in (note, located.note if located else "", _lacking(network)) if text),
    )


@dataclass(frozen=True)
class Sides:
    """The two sides and which end is which.

    Attributes:
        reference: What is right by definition.
        candidate: What is judged.
        feeds: For each input of the reference the index of the candidate's.
        pairs: For each output of the reference the index of the candidate's.
    """

    reference: Runnable
    candidate: Runnable
    feeds: tuple[int, ...]
    pairs: tuple[int, ...]

    def for_candidate(self, arrays: Sequence[Array]) -> list[Array]:
        """The inputs in the candidate's order and dtypes."""
        given = dict(zip(self.feeds, arrays, strict=True))
        return [given[i].astype(port.dtype) for i, port in enumerate(self.candidate.inputs)]

    def run(self, arrays: Sequence[Array]) -> Iterator[tuple[int, str, Array, Array]]:
        """Every output of both sides, and what goes into its softmax or sigmoid where both show it."""
        other = self.for_candidate(arrays)
        r, c = self.reference.run(arrays), self.candidate.run(other)
        rb, cb = self.reference.before_activation(arrays), self.candidate.before_activation(other)
        for i, j in enumerate(self.pairs):
            yield i, "output", r[i], c[j]
            before_r, before_c = rb[i], cb[j]
            if before_r is not None and before_c is not None and before_r.shape == before_c.shape:
                yield i, "before activation", before_r, before_c


def chunks(arrays: Sequence[Array]) -> Iterator[list[Array]]:
    """The samples a few at a time."""
    for start in range(0, len(arrays[0]), CHUNK):
        yield [array[start : start + CHUNK] for array in arrays]


def _judged(sides: Sides, arrays: Sequence[Array], gate: Gate, network: Network | None) -> Iterator[OutputComparison]:
    measures: dict[tuple[int, str], Measure] = {}
    for part in chunks(arrays):
        for i, stage, r, c in sides.run(part):
            measures.setdefault((i, stage), Measure(scores=r.ndim == 2 and r.shape[1] > 1)).update(r, c)
    found = [_Output(i, stage, measure.result()) for (i, stage), measure in measures.items()]
    answers = {(o.index, o.stage): judge(o.found, gate) for o in found}
    wrong = [o.index for o in found if o.stage == "output" and _can_appeal(answers[o.index, o.stage], o, gate)]
    if network and wrong:
        finding = _against_float64(sides, arrays, network)
        answers.update({(i, "output"): appeal(answers[i, "output"], gate, *finding[i]) for i in wrong})
    answers.update(_vouched_for(answers))
    for output in found:
        yield _record(sides, output, gate, answers[output.index, output.stage])


def _vouched_for(answers: Mapping[tuple[int, str], Judgement]) -> dict[tuple[int, str], Judgement]:
    """A softmax or sigmoid so far out that its output is constant: what goes into it speaks for it."""
    return {
        (i, stage): Judgement(Status.EQUAL, f"{answer.reason} What goes into its activation varies and is equal.")
        for (i, stage), answer in answers.items()
        if answer.status is Status.UNPROVEN and stage == "output"
        and (before := answers.get((i, "before activation"))) and before.status is Status.EQUAL
    }  # fmt: skip


def _lacking(network: Network | None) -> str:
    names = [layer.path for layer in network.in_float32] if network else []
    return f"computed in float32, for want of a float64 kernel: {', '.join(names)}." if names else ""


def _can_appeal(answer: Judgement, output: _Output, gate: Gate) -> bool:
    return answer.status is Status.DIFFERS and gate.tolerance is not None and output.found.max_reference > 0


def _against_float64(sides: Sides, arrays: Sequence[Array], network: Network) -> list[tuple[Measurement, Measurement]]:
    """The distance of both sides from the float64 network, per output."""
    running = [(Measure(), Measure()) for _ in sides.pairs]
    for part in chunks(arrays):
        exact = network.run(part)
        r, c = sides.reference.run(part), sides.candidate.run(sides.for_candidate(part))
        for i, j in enumerate(sides.pairs):
            running[i][0].update(exact[i], r[i])
            running[i][1].update(exact[i], c[j])
    return [(a.result(), b.result()) for a, b in running]


def _record(sides: Sides, output: _Output, gate: Gate, answer: Judgement) -> OutputComparison:
    port = sides.candidate.outputs[sides.pairs[output.index]]
    scale = port.quantization.scale if port.quantization else None
    return OutputComparison(
        name=sides.reference.outputs[output.index].name,
        candidate_name=port.name,
        stage=output.stage,
        status=answer.status,
        reason=answer.reason,
        gate=gate,
        measurement=output.found,
        referee=answer.referee,
        steps=output.found.max_difference / scale if scale and output.stage == "output" else None,
    )
