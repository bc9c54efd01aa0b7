"""What was found of each output."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from kerasbn_export.verification.records.gates import Gate
from kerasbn_export.verification.records.measure import Measurement
from kerasbn_export.verification.records.pictures import Picture


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
