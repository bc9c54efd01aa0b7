"""What a comparison found, as data."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

from kerasbn_export.shown import Rows, Shown
from kerasbn_export.verification.records.clipping import Clipping
from kerasbn_export.verification.records.gates import Gate
from kerasbn_export.verification.records.measure import Measurement
from kerasbn_export.verification.records.pictures import Numbers, Picture
from kerasbn_export.verification.records.summary import lines_of

SCHEMA_VERSION = 1
"""Of the JSON. Within a version fields are only added: one that a reader does not know is to be skipped."""


class Status(str, Enum):
    """The answer for one output, and for all of them."""

    EQUAL = "equal"
    DIFFERS = "differs"
    UNPROVEN = "unproven"
    """The reference's own output shows nothing, as one that is all zero; or the data do not tell."""
    UNJUDGED = "unjudged"
    """A check failed by an exception that nobody expected."""


@dataclass(frozen=True)
class Match:
    """Two ends taken for the same.

    Attributes:
        reference: Its name in the reference.
        candidate: Its name in the candidate.
        by: What they were matched by: ``"name"``, ``"order"`` or ``"shape"``.
    """

    reference: str
    candidate: str
    by: str


@dataclass(frozen=True)
class RefereeFinding:
    """How far each side is from the float64 values, relative to their largest magnitude.

    Attributes:
        reference_error: Of the reference.
        candidate_error: Of the candidate.
        explained: How far rounding in float32 takes a right candidate, where the reference's own error does not say
            that: it computes in less than float32, or every layer was found to be right.
    """

    reference_error: float
    candidate_error: float
    explained: float | None = None

    @property
    def inaccurate(self) -> str:
        """The side that is further away."""
        return "candidate" if self.candidate_error > self.reference_error else "reference"


@dataclass(frozen=True)
class OutputComparison:
    """The judgement of one output, or of the values before its softmax or sigmoid.

    Attributes:
        name: The output's name in the reference.
        candidate_name: Its name in the candidate.
        stage: ``"output"`` or ``"before activation"``.
        status: The answer.
        reason: The answer in words.
        gate: What it was judged by.
        measurement: The distance between the two sides.
        input_scale: The standard deviation of the random inputs at which this was found, the worst of those tried.
        referee: The distance of each side from float64; None where the referee was not needed or not there.
        steps: The largest difference in steps of the candidate's quantised output; None if it is not quantised.
        picture: What a page draws of it.
    """

    name: str
    candidate_name: str
    stage: str
    status: Status
    reason: str
    gate: Gate
    measurement: Measurement
    input_scale: float | None = None
    referee: RefereeFinding | None = None
    steps: float | None = None
    picture: Picture | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return self.status is Status.EQUAL

    @property
    def required_tolerance(self) -> float:
        """The smallest tolerance that would have passed."""
        return self.measurement.relative

    @property
    def title(self) -> str:
        """The output's name, with its stage if it is not the output itself."""
        return self.name if self.stage == "output" else f"{self.name}, {self.stage}"


@dataclass(frozen=True)
class LayerComparison:
    """One layer of the reference against the candidate's tensor that carries its name.

    Attributes:
        layer: The layer in the reference.
        tensor: The candidate's tensor.
        position: The layer whose output the tensor was found to hold: the layer itself, or one that the
            converter or a fold merged into it.
        merged: The layers after ``layer`` up to ``position``.
        local_error: max|difference| / max|reference| where the reference computes this layer from the
            candidate's own inputs to it: the error made here.
        cumulative_error: The same where both start from the model's inputs.
        local_sqnr_db: The local error as a ratio of signal to noise in dB.
        rounding: The local error as a part of what rounding explains at most, in float32 or to the grids of a quantised
            file, or that of a weight; None where that is not known.
        passed: Whether rounding explains the local error or, where that is not known, whether it passes the gate.
        moved: Whether it gives other numbers on purpose: a fold or the converter moved a scale or a shift across it,
            and a later layer takes that back.
        cumulative_sqnr_db: The cumulative error as a ratio of signal to noise in dB.
        clipping: What the tensor's range cannot hold, where that alone is more noise than an output may have.
    """

    layer: str
    tensor: str
    position: str
    merged: tuple[str, ...]
    local_error: float
    cumulative_error: float
    local_sqnr_db: float
    rounding: float | None
    passed: bool
    moved: bool = False
    cumulative_sqnr_db: float = math.inf
    clipping: Clipping | None = None


@dataclass(frozen=True)
class WeightComparison:
    """A kernel or bias of the candidate against the float64 algebra.

    Attributes:
        layer: The linear layer.
        batchnorm: The BatchNorm that is folded in; empty if none is.
        weight: ``"kernel"`` or ``"bias"``.
        max_difference: The largest difference.
        max_expected: The largest magnitude expected.
        worst_index: Where the difference is largest.
        passed: Whether rounding explains the difference.
        diagnosis: The known mistake that gives just these weights; empty if there is none.
        expected: For a bias that is wrong its values by channel, for a kernel the norm of each output channel.
        rounding: The difference as a part of what rounding explains: half a step of the grid that the candidate's lies
            on, and 1e-5 of the largest magnitude.
        found: The candidate's, for a kernel along the expected one: 0.5 is a scale half as large, -1 one turned round.
    """

    layer: str
    batchnorm: str
    weight: str
    max_difference: float
    max_expected: float
    worst_index: tuple[int, ...]
    passed: bool
    diagnosis: str
    expected: Numbers = field(default=(), repr=False)
    found: Numbers = field(default=(), repr=False)
    rounding: float = 0.0

    @property
    def sentence(self) -> str:
        """The finding in words."""
        known = f"; as if: {self.diagnosis}" if self.diagnosis else "."
        return f"Layer {self.layer!r}: {self.weight} differs by {self.max_difference:.3g} at {self.worst_index}{known}"


@dataclass(frozen=True)
class Divergence:
    """The first layer that is wrong while what it is given is right.

    Attributes:
        layer: Its name in the reference.
        suspects: The layer and those between it and the last tensors found right: the error is in one of them.
        tensor: The candidate's tensor that holds the wrong values.
        local_error: The error made there, relative to max|reference|.
        cumulative_error: The error there, counted from the model's inputs.
        sentence: The finding in words.
    """

    layer: str
    suspects: tuple[str, ...]
    tensor: str
    local_error: float
    cumulative_error: float
    sentence: str


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

    def __bool__(self) -> bool:
        return self.status is Status.EQUAL

    @property
    def status(self) -> Status:
        """The worst of the outputs, unproven if there is none; a layer that is wrong beyond rounding differs too."""
        if self.failures:
            return Status.UNJUDGED
        found = {output.status for output in self.outputs}
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
    def verdict(self) -> str:
        """The answer in one or two sentences."""
        if self.failures:
            found = "; ".join(f"{record.title}: {record.status.value}" for record in self.outputs) or "none"
            failed = "; ".join(self.failures)
            return f"Could not be judged: {failed}. This is a fault of kerasbn: please report it. Outputs: {found}."
        if self:
            count = sum(output.stage == "output" for output in self.outputs)
            return f"Equal: {count} output(s) over {self.samples} sample(s); {self._worst.reason}"
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
        """The verdict, the two sides, every output, what is wrong inside, and the tolerance that would have passed."""
        return [self.verdict, *(f"  {line}" for line in lines_of(self))]

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
        fields |= {"verdict": self.verdict, "required_tolerance": self.required_tolerance, **asdict(self)}
        result: dict[str, Any] = _json(fields)
        for record, output in zip(result["outputs"], self.outputs, strict=True):
            record["required_tolerance"] = _json(output.required_tolerance)
        return result


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
