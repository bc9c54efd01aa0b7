"""What was found to be wrong with a file, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

from kerasbn.shown import Rows, Shown

SCHEMA_VERSION = 1
"""Of the JSON. Within a version fields are only added."""
NOT_MEASURED = "not measured"
COLUMNS = ("cause", "where", "the number that shows it", "mending gives>", "command")


class Costs(str, Enum):
    """What a cause costs, the worst first."""

    MODEL = "model"
    """The model itself is wrong, and so is every file made of it."""
    ACCURACY = "accuracy"
    SPEED = "speed"


@dataclass(frozen=True)
class Finding:
    """One cause.

    Attributes:
        name: Its name in `kerasbn_export.explanation.causes`.
        what: What is wrong, in a sentence.
        where: The layer, tensor or operation; empty for the whole file.
        number: What shows it.
        command: What mends it.
        costs: What it costs.
        estimate: What the evidence tells of the loss in dB, to rank by where nothing is measured.
        options: Of an export that mends it, beside those that the file was made with; None if no export does.
        gain: What mending gives in dB, measured; None where it was not.
        follows: The causes that it may only be a consequence of.
        note: Why it was not measured, where that was tried.
    """

    name: str
    what: str
    where: str
    number: str
    command: str
    costs: Costs = Costs.ACCURACY
    estimate: float = 0.0
    options: Mapping[str, Any] | None = field(default=None, repr=False)
    gain: float | None = None
    follows: tuple[str, ...] = ()
    note: str = ""

    @property
    def worth(self) -> float:
        """What mending gives in dB, measured or else estimated."""
        return self.estimate if self.gain is None else self.gain

    @property
    def mending(self) -> str:
        """What mending gives, in words."""
        return NOT_MEASURED if self.gain is None else f"mending gives {self.gain:+.1f} dB"

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        fields = asdict(self)
        del fields["options"], fields["estimate"]
        return {**fields, "costs": self.costs.value, "follows": list(self.follows), "gain": finite(self.gain)}


@dataclass(frozen=True, repr=False)
class Explanation(Shown):
    """What is wrong with a file; true if nothing is.

    Attributes:
        file: Its name.
        precision: What it computes in.
        findings: The causes, that which costs most first.
        harmless: What looks like a cause, and gives nothing when it is mended.
        missing: What was not given: ``"reference"``, ``"data"``, or both.
        sqnr_db: Signal to noise of the worst output against the reference; None where that was not measured.
        differs: Why `verify` says that it differs; empty if it does not, or was not asked.
        bound_db: The same for int16x8, which is what more bits can give at most; None where that was not measured.
    """

    file: str
    precision: str
    findings: tuple[Finding, ...]
    harmless: tuple[Finding, ...] = ()
    missing: tuple[str, ...] = ()
    sqnr_db: float | None = None
    differs: str = ""
    bound_db: float | None = None

    def __bool__(self) -> bool:
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """0 nothing to mend, 1 causes were found, 2 that cannot be told."""
        if self.findings:
            return 1
        return 2 if self.missing or self.differs else 0

    def summary(self) -> list[str]:
        """What is wrong most, the number, the command: three lines."""
        if self.findings:
            first = self.findings[0]
            where = f"{first.where}: " if first.where else ""
            return [_sentence(f"{where}{first.what}"), _sentence(f"{first.number}; {first.mending}."), first.command]
        if self.differs:
            return [f"It differs, and no known cause explains it: {self.differs}", self._quality, "kerasbn verify"]
        if self.missing:
            wanted = " and ".join(f"--{name}" for name in self.missing)
            return ["Nothing was found in what there is to look at.", f"More can be told with {wanted}."]
        return ["Nothing to mend.", self._quality]

    @property
    def _quality(self) -> str:
        return "" if self.sqnr_db is None else f"SQNR against the model is {self.sqnr_db:.1f} dB."

    @property
    def notes(self) -> list[str]:
        """What else there is to say."""
        said = [self._quality] if self.findings and self._quality else []
        if self.bound_db is not None:
            said.append(f"int16x8 reaches {self.bound_db:.1f} dB, which is what 16 bits for activations can give.")
        said += [f"{each.name}: looked at, and {each.mending}." for each in self.harmless]
        said += [f"{each.name}: {each.note}" for each in self.findings if each.note]
        if self.findings and self.missing:
            given = " and ".join(f"--{name}" for name in self.missing)
            said.append(f"Ranked by the evidence; what mending gives is measured with {given}.")
        return said

    def table(self) -> Rows:
        """A row for each finding."""
        return COLUMNS, [(f.name, f.where, f.number, _gain(f), f.command) for f in self.findings]

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values; a number that is not finite is None."""
        return {
            "schema_version": SCHEMA_VERSION,
            "exit_code": self.exit_code,
            "file": self.file,
            "precision": self.precision,
            "answer": self.summary(),
            "findings": [each.to_json() for each in self.findings],
            "harmless": [each.to_json() for each in self.harmless],
            "missing": list(self.missing),
            "sqnr_db": finite(self.sqnr_db),
            "bound_db": finite(self.bound_db),
            "notes": self.notes,
        }


def _gain(finding: Finding) -> str:
    return NOT_MEASURED if finding.gain is None else f"{finding.gain:+.1f} dB"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def finite(number: float | None) -> float | None:
    """The number; None where JSON has none for it."""
    return float(number) if number is not None and math.isfinite(number) else None
