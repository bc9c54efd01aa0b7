"""What a comparison found, as data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from kerasbn.shown import Rows, Shown
from kerasbn_export.metrics.records import MetricReport
from kerasbn_export.verification.records.answer import differs, equal, unjudged, unproven
from kerasbn_export.verification.records.layers import Divergence, LayerComparison, WeightComparison
from kerasbn_export.verification.records.outputs import Match, OutputComparison, Status

SCHEMA_VERSION = 1
"""Of the JSON. Within a version fields are only added: one that a reader does not know is to be skipped."""
SHOWN = 5
"""How many wrong weights are listed."""


@dataclass(frozen=True, repr=False)
class Comparison(Shown):
    """The result of `kerasbn_export.verification.verify`; true if the two sides are equal.

    Attributes:
        reference: What the reference is.
        candidate: What the candidate is.
        precision: The less exact precision of the two, whose gate applies.
        seed: The seed of the inputs; None where they were given.
        samples: The number of samples.
        inputs: How the inputs were matched.
        matches: How the outputs were matched.
        outputs: One record per output, and one more for each that ends in a softmax or sigmoid.
        per_layer: One record per layer that could be compared, in topological order.
        weights: One record per kernel and bias that could be compared with the float64 algebra.
        first_divergence: The first layer that is wrong while its inputs are right.
        coverage: Tensors of the candidate compared, and how many it has that depend on the input.
        notes: What could not be done, and why.
        failures: The checks that failed by an exception that nobody expected.
        metric: The user's own metric of both sides; None if none was asked for.
    """

    reference: str
    candidate: str
    precision: str
    seed: int | None
    samples: int
    inputs: tuple[Match, ...]
    matches: tuple[Match, ...]
    outputs: tuple[OutputComparison, ...]
    per_layer: tuple[LayerComparison, ...] = ()
    weights: tuple[WeightComparison, ...] = ()
    first_divergence: Divergence | None = None
    coverage: tuple[int, int] = (0, 0)
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    metric: MetricReport | None = None

    def __bool__(self) -> bool:
        return self.status is Status.EQUAL

    @property
    def status(self) -> Status:
        """The worst of the outputs, unproven if there is none; a layer that is wrong beyond rounding differs too."""
        if self.failures:
            return Status.UNJUDGED
        found = {output.status for output in self.outputs}
        if self.metric is not None and not self.metric.passed:
            return Status.DIFFERS
        if Status.DIFFERS in found or self.first_divergence:
            return Status.DIFFERS
        return Status.EQUAL if found == {Status.EQUAL} else Status.UNPROVEN

    @property
    def exit_code(self) -> int:
        """0 equal, 1 differs, 2 that cannot be said, 3 a check failed."""
        return {Status.EQUAL: 0, Status.DIFFERS: 1, Status.UNPROVEN: 2, Status.UNJUDGED: 3}[self.status]

    @property
    def required_tolerance(self) -> float:
        """The smallest tolerance that all outputs would have passed."""
        return max((output.required_tolerance for output in self.outputs), default=math.inf)

    @property
    def answer(self) -> list[str]:
        """What, where, why and what to do, in at most four lines, and one about the user's metric."""
        if self.failures:
            return unjudged(self.failures)
        said = [] if self.metric is None else [self.metric.sentence]
        if self:
            return equal(self.outputs, self.samples, self._worst) + said
        if self.status is Status.UNPROVEN:
            return unproven(self.outputs) + said
        if self._only_metric:
            return [f"Differs: {self.metric.sentence}"] if self.metric else []
        return differs(self.outputs, self.per_layer, self.weights, self.first_divergence, self.precision) + said

    @property
    def _only_metric(self) -> bool:
        """Whether nothing but the user's metric says that the two differ."""
        wrong = any(output.status is Status.DIFFERS for output in self.outputs) or self.first_divergence is not None
        return self.metric is not None and not self.metric.passed and not wrong

    @property
    def verdict(self) -> str:
        """The answer with its numbers, in one line, for a log."""
        if self.failures:
            found = "; ".join(f"{record.title}: {record.status.value}" for record in self.outputs) or "none"
            failed = "; ".join(self.failures)
            return f"Could not be judged: {failed}. This is a fault of kerasbn: please report it. Outputs: {found}."
        if self:
            return self.answer[0]
        if self._only_metric:
            return self.answer[0]
        if self.outputs and all(self.outputs):
            return " ".join(["Differs: every output passes, but a layer errs beyond rounding.", *self._findings])
        text = f"{self.status.value.capitalize()}: {self._worst.title}: {self._worst.reason}"
        return " ".join([text, *self._findings])

    @property
    def _findings(self) -> list[str]:
        """The first wrong layer, and which of its weights are wrong."""
        if self.first_divergence is None:
            return []
        found = [w for w in self.weights if not w.passed and w.layer in self.first_divergence.suspects]
        return [self.first_divergence.sentence, *(weight.sentence for weight in found)]

    @property
    def _worst(self) -> OutputComparison:
        order = (Status.EQUAL, Status.UNPROVEN, Status.DIFFERS)
        return max(self.outputs, key=lambda output: (order.index(output.status), output.required_tolerance))

    def summary(self) -> list[str]:
        """The answer, the two sides, every output, what is wrong inside, and the tolerance that would have passed."""
        return [*self.answer, *(f"  {line}" for line in _lines(self))]

    def table(self) -> Rows:
        """A row for each output."""
        columns = ("output", "status", "max|d|/max|r|>", "SQNR dB>", "agreement>", "why")
        rows = [
            (
                output.title,
                output.status.value,
                f"{output.measurement.relative:.3g}",
                f"{output.measurement.sqnr_db:.1f}",
                "" if output.measurement.agreement is None else f"{output.measurement.agreement:.1%}",
                output.reason,
            )
            for output in self.outputs
        ]
        return columns, rows

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values; numbers that are not finite become strings."""
        fields: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "status": self.status.value,
            "exit_code": self.exit_code,
        }
        fields |= {"answer": self.answer, "verdict": self.verdict}
        fields |= {"required_tolerance": self.required_tolerance, **asdict(self)}
        fields["metric"] = None if self.metric is None else self.metric.to_json()
        result: dict[str, Any] = _json(fields)
        for record, output in zip(result["outputs"], self.outputs, strict=True):
            record["required_tolerance"] = _json(output.required_tolerance)
        return result


def _lines(comparison: Comparison) -> Iterator[str]:
    """What is printed below the verdict."""
    yield f"reference: {comparison.reference}"
    yield f"candidate: {comparison.candidate}"
    for output in comparison.outputs:
        yield f"{output.title}: {output.status.value}; gate: {output.gate}{_scale(output.input_scale)}"
    wrong = [weight for weight in comparison.weights if not weight.passed]
    for weight in wrong[:SHOWN]:
        yield weight.sentence
    if len(wrong) > SHOWN:
        yield f"and {len(wrong) - SHOWN} more wrong weights"
    yield f"smallest tolerance that would have passed: {comparison.required_tolerance:.3g}"
    for note in comparison.notes:
        yield f"note: {note}"


def _scale(scale: float | None) -> str:
    return "" if scale is None else f"; worst at inputs of standard deviation {scale:g}"


def _json(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value
