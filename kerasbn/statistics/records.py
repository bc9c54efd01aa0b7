"""What `recalibrate` gives back, and what it raises where it would make a model worse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kerasbn.errors import KerasBNError
from kerasbn.shown import Rows, Shown
from kerasbn.statistics.judging import Validation
from kerasbn.statistics.running import Array


def batchnorm_count(number: int) -> str:
    """So many BatchNorms, in words."""
    return f"{number} BatchNorm{'' if number == 1 else 's'}"


@dataclass(frozen=True)
class Statistics:
    """The moving averages of one BatchNorm, in float64.

    Attributes:
        mean: ``moving_mean``.
        variance: ``moving_variance``.
    """

    mean: Array
    variance: Array


@dataclass(frozen=True, repr=False)
class Recalibration(Shown):
    """What `kerasbn.recalibrate` did; true if the model holds the new statistics.

    Attributes:
        before: By the path of each BatchNorm that was renewed, its statistics before.
        after: The same, after.
        samples: How many samples the new ones are of, over all workers.
        batches: In how many batches.
        mode: ``"population"`` or ``"batch"``.
        validation: The model before and after on samples kept out; None where too few could be kept out.
        left: The BatchNorms that were left as they are, with the reason.
        notes: What else there is to know.
        kept: Whether the model holds the new statistics.
    """

    before: Mapping[str, Statistics]
    after: Mapping[str, Statistics]
    samples: int
    batches: int
    mode: str
    validation: Validation | None
    left: Mapping[str, str]
    notes: tuple[str, ...]
    kept: bool

    def __bool__(self) -> bool:
        return self.kept

    def summary(self) -> list[str]:
        """What was renewed, on what, and whether the model got better."""
        what = "renewed" if self.kept else "not renewed"
        count = batchnorm_count(len(self.after))
        lines = [f"{count} {what}: statistics of {self.samples} samples in {self.batches} batches."]
        lines.append(f"{self.validation}." if self.validation else "Too few samples to keep some out: not validated.")
        lines += [f"Left as it is: {path}: {reason}." for path, reason in self.left.items()]
        return [*lines, *self.notes]

    def table(self) -> Rows:
        """How far each BatchNorm's statistics moved."""
        columns = ("BatchNorm", "channels>", "mean moved by, in sigma>", "variance, new / old>")
        return columns, [_row(path, self.before[path], after) for path, after in self.after.items()]


def _row(path: str, before: Statistics, after: Statistics) -> tuple[str, str, str, str]:
    sigma = np.sqrt(np.maximum(after.variance, np.finfo(np.float32).tiny))
    with np.errstate(all="ignore"):
        shift = np.abs(after.mean - before.mean) / sigma
        ratio = after.variance / before.variance
    ends = f"{np.min(ratio):.3g} .. {np.max(ratio):.3g}"
    return path, str(after.mean.size), f"{np.median(shift):.3g}, at most {np.max(shift):.3g}", ends


class WorseStatisticsError(KerasBNError, ValueError):
    """New statistics make the model worse on samples kept out; it is left as it was.

    Attributes:
        record: What would have been done.
    """

    exit_code = 1

    def __init__(self, message: str, record: Recalibration) -> None:
        super().__init__(message)
        self.record = record
