"""Judges every output over all samples, at each input scale on its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from kerasbn_export.arrays import Array
from kerasbn_export.verification.network.network import Network
from kerasbn_export.verification.outputs.judge import Judgement, appeal, judge
from kerasbn_export.verification.records.gates import Gate
from kerasbn_export.verification.records.measure import Measure, Measurement
from kerasbn_export.verification.records.outputs import OutputComparison, Status
from kerasbn_export.verification.sides.sides import Batch, Sides

BEFORE = "before activation"
PROBABILITY = {"int8": 1 / 256, "int16x8": 1 / 32768}
"""The step of what a softmax or sigmoid gives, which TFLite fixes."""
STEPS = 2.0
"""How many of them a right softmax may be off."""


@dataclass(frozen=True)
class _Finding:
    """One output, or what goes into its softmax or sigmoid, at one input scale."""

    index: int
    stage: str
    scale: float | None
    measurement: Measurement
    answer: Judgement


def judge_outputs(
    sides: Sides, batches: Sequence[Batch], gate: Gate, network: Network | None
) -> tuple[OutputComparison, ...]:
    """One record per output and one more for each that ends in a softmax or sigmoid, at the worst input scale.

    Args:
        sides: The two sides.
        batches: The samples.
        gate: What an output has to reach.
        network: The reference in float64, asked where the two sides disagree.
    """
    found = [finding for batch in batches for finding in _of_batch(sides, batch, gate, network)]
    keys = dict.fromkeys((finding.index, finding.stage) for finding in found)
    worst = {key: _worst([f for f in found if (f.index, f.stage) == key]) for key in keys}
    step = PROBABILITY.get(sides.candidate.precision)
    return tuple(_record(sides, _vouched_for(f, worst.get((f.index, BEFORE)), step), gate) for f in worst.values())


def _of_batch(sides: Sides, batch: Batch, gate: Gate, network: Network | None) -> Iterator[_Finding]:
    measures: dict[tuple[int, str], Measure] = {}
    for part in batch.chunks():
        for i, stage, r, c in sides.run(part):
            scores = r.ndim == 2 and r.shape[1] > 1
            measures.setdefault((i, stage), Measure(scores=scores, start=batch.start)).update(r, c)
    found = {key: measure.result() for key, measure in measures.items()}
    answers = {key: judge(measurement, gate) for key, measurement in found.items()}
    wrong = [key for key in found if answers[key].status is Status.DIFFERS]
    if network and wrong and gate.tolerance is not None:
        exact = against_float64(sides, batch, network)
        answers.update({key: appeal(answers[key], gate, *exact[key]) for key in wrong if key in exact})
    for (i, stage), measurement in found.items():
        yield _Finding(i, stage, batch.scale, measurement, answers[i, stage])


Distances = tuple[Measurement, Measurement, Measurement | None]


def against_float64(sides: Sides, batch: Batch, network: Network) -> dict[tuple[int, str], Distances]:
    """The distance of both sides from the float64 network, by output and stage.

    And that of the reference in float32, where it computes in less itself.
    """
    own = Network(network.graph, "float32") if network.below_float32 else None
    running: dict[tuple[int, str], tuple[Measure, Measure, Measure]] = {}
    for part in batch.chunks():
        exact, rounded = network.run_with_scores(part), own.run_with_scores(part) if own else None
        for i, stage, r, c in sides.run(part):
            right = _of_stage(exact, i, stage)
            if right is not None:
                measures = running.setdefault((i, stage), (Measure(), Measure(), Measure()))
                for measure, array in zip(measures, (r, c, rounded and _of_stage(rounded, i, stage)), strict=True):
                    if array is not None:
                        measure.update(right, array)
    return {key: (a.result(), b.result(), c.result() if own else None) for key, (a, b, c) in running.items()}


def _of_stage(values: tuple[Sequence[Array], Sequence[Array | None]], output: int, stage: str) -> Array | None:
    return values[0 if stage == "output" else 1][output]


def _worst(found: Sequence[_Finding]) -> _Finding:
    """A scale at which an output differs, else the worst at which it is equal, else one that proves nothing."""
    order = (Status.UNPROVEN, Status.EQUAL, Status.DIFFERS)
    return max(found, key=lambda f: (order.index(f.answer.status), f.measurement.relative))


def _vouched_for(finding: _Finding, before: _Finding | None, step: float | None) -> _Finding:
    """A softmax or sigmoid whose output tells little: what goes into its activation speaks for it.

    Args:
        finding: Of the output.
        before: Of what goes into its softmax or sigmoid; None if it ends in neither.
        step: Between two numbers that the candidate's softmax or sigmoid can give; None if it has no grid.
    """
    if finding.stage != "output" or before is None or before.answer.status is not Status.EQUAL:
        return finding
    if finding.answer.status is Status.UNPROVEN:
        reason = f"{finding.answer.reason} What goes into its activation varies and is equal."
        return replace(finding, answer=Judgement(Status.EQUAL, reason))
    found = before.measurement
    if finding.answer.status is Status.EQUAL or step is None or finding.measurement.max_difference > STEPS * step:
        return finding
    order = (
        "" if found.agreement is None else f" and has the same largest score on {found.agreement:.0%} of the samples"
    )
    reason = (
        f"a probability below {step:.2g} has no number of its own here; what goes into the activation has an SQNR of "
        f"{found.sqnr_db:.1f} dB{order}. To keep small probabilities, leave the last activation off."
    )
    return replace(finding, answer=Judgement(Status.EQUAL, reason))


def _record(sides: Sides, finding: _Finding, gate: Gate) -> OutputComparison:
    port = sides.candidate.outputs[sides.pairs[finding.index]]
    step = port.quantization.scale if port.quantization and finding.stage == "output" else None
    return OutputComparison(
        name=sides.reference.outputs[finding.index].name,
        candidate_name=port.name,
        stage=finding.stage,
        status=finding.answer.status,
        reason=finding.answer.reason,
        gate=gate,
        measurement=finding.measurement,
        input_scale=finding.scale,
        referee=finding.answer.referee,
        steps=finding.measurement.max_difference / step if step else None,
    )
