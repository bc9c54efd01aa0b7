"""What `finetune` gives, and what it raises where training did not help."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasbn.errors import KerasBNError
from kerasbn.shown import Rows, Shown
from kerasbn_export.export.records import ExportResult

MARGIN = 0.1
"""dB that are none; the forms of an export have the same."""


class NoBetterFileError(KerasBNError):
    """The trained file is worse than the one without training, on samples kept out; nothing is written."""

    exit_code = 1


@dataclass(frozen=True)
class Worth:
    """What a file is worth on samples kept out.

    Attributes:
        sqnr_db: Signal to noise against the float model.
        accuracy: The part of the labels that it gets right; None where there are none, or they are no classes.
    """

    sqnr_db: float
    accuracy: float | None = None

    def is_worse_than(self, other: Worth) -> bool:
        """By accuracy where both have it, and else by noise, and that by more than chance."""
        if self.accuracy is not None and other.accuracy is not None:
            return self.accuracy < other.accuracy
        return not self.sqnr_db >= other.sqnr_db - MARGIN

    def __str__(self) -> str:
        accuracy = "" if self.accuracy is None else f", accuracy {self.accuracy:.2%}"
        return f"{self.sqnr_db:.1f} dB{accuracy}"


@dataclass(frozen=True, repr=False)
class Finetuned(Shown):
    """A file of a model that was trained for it.

    Attributes:
        path: Where it is.
        before: What the best file without training is worth.
        after: What this one is worth.
        float_accuracy: The float model's accuracy on the same samples; None likewise.
        teacher: Whether the float model was the teacher.
        epochs: How often the samples were seen.
        trained_on: How many samples it was trained on.
        held_out: How many it was judged on.
        result: What is in the file.
    """

    path: Path
    before: Worth
    after: Worth
    float_accuracy: float | None
    teacher: bool
    epochs: int
    trained_on: int
    held_out: int
    result: ExportResult

    def summary(self) -> list[str]:
        """Before, after, and the file."""
        how = "taught by the float model" if self.teacher else "trained on the labels"
        limit = "" if self.float_accuracy is None else f" The float model has accuracy {self.float_accuracy:.2%}."
        return [
            f"Int8 without training, the best of several forms: {self.before}; trained: {self.after}.{limit}",
            f"{how.capitalize()}: {self.epochs} epochs of {self.trained_on} samples; judged on {self.held_out} others.",
            self.result.about_file(),
        ]

    def table(self) -> Rows:
        """A row for each file."""
        rows = [(name, f"{worth.sqnr_db:.1f}", _percent(worth.accuracy)) for name, worth in
                (("int8, not trained", self.before), ("int8, trained", self.after))]  # fmt: skip
        return ("file", "SQNR dB>", "accuracy>"), [*rows, ("float", "", _percent(self.float_accuracy))]

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        worth = {name: vars(getattr(self, name)) for name in ("before", "after")}
        plain = {
            name: getattr(self, name) for name in ("float_accuracy", "teacher", "epochs", "trained_on", "held_out")
        }
        return {"path": str(self.path), **worth, **plain, "result": self.result.to_json()}


def _percent(part: float | None) -> str:
    return "" if part is None else f"{part:.2%}"
