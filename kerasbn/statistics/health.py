"""What `kerasbn.check` gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from kerasbn.shown import Rows, Shown
from kerasbn.statistics.records import Statistics, batchnorm_count

SCHEMA_VERSION = 1
SEVERITIES = ("fail", "warn", "note")
SHOWN = 12
"""Findings that a summary names one by one."""
UNDECIDED = ("few-samples", "uneven-batches")
"""Kinds that leave open what the data say."""
MODEL = ""
"""The layer of a finding that concerns the whole model."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth to know, with one BatchNorm.

    Attributes:
        layer: The path of the BatchNorm; empty for the whole model.
        kind: Its name in `kerasbn.statistics.thresholds.TABLE`.
        channels: The channels concerned; empty where it is none in particular.
        value: The number that was compared with the threshold.
        evidence: The same in words.
        advice: What it does to the user, and what repairs it.
        severity: ``"fail"``, ``"warn"`` or ``"note"``.
    """

    layer: str
    kind: str
    channels: tuple[int, ...]
    value: float
    evidence: str
    advice: str
    severity: str

    def __str__(self) -> str:
        where = f"{self.layer}: " if self.layer else ""
        return f"{self.severity}: {where}{self.kind}: {self.evidence}. {self.advice}"

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        value = float(self.value) if np.isfinite(self.value) else None
        return {**asdict(self), "channels": list(self.channels), "value": value}


@dataclass(frozen=True, repr=False)
class Health(Shown):
    """Whether the moving averages of a model are fit to ship; true if they are.

    Attributes:
        findings: What was found, the worst first.
        batchnorms: The paths of all BatchNorms.
        samples: How many samples were measured; 0 without data.
        stored: By path, the moving averages.
        measured: By path, the statistics of the data; empty without.
    """

    findings: tuple[Finding, ...]
    batchnorms: tuple[str, ...]
    samples: int = 0
    stored: Mapping[str, Statistics] = field(default_factory=dict)
    measured: Mapping[str, Statistics] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return not any(finding.severity == "fail" for finding in self.findings)

    @property
    def undecided(self) -> bool:
        """Whether data were given that tell nothing: too few, or sorted."""
        return any(finding.kind in UNDECIDED for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """0 fit, 1 not fit, 2 that cannot be told."""
        return 1 if not self else 2 if self.undecided else 0

    def of(self, *severities: str) -> list[Finding]:
        """The findings of some severities."""
        return [finding for finding in self.findings if finding.severity in severities]

    @property
    def headline(self) -> str:
        """The answer in one line."""
        number, on = len(self.batchnorms), f" on {self.samples} samples" if self.samples else ", without data"
        if not self.findings:
            return f"Fit: {batchnorm_count(number)}{on}."
        counts = [f"{len(self.of(each))} {each}" for each in SEVERITIES if self.of(each)]
        worst = self.findings[0]
        where = f" in {worst.layer}" if worst.layer else ""
        lead = f"; first: {worst.kind}{where}" if worst.severity != "note" else ""
        word = "Not fit" if not self else "Cannot tell" if self.undecided else "Fit"
        return f"{word}: {batchnorm_count(number)}{on}: {', '.join(counts)}{lead}."

    def summary(self) -> list[str]:
        """The answer, then a line for each finding, up to a dozen."""
        lines = [str(finding) for finding in self.findings[:SHOWN]]
        more = len(self.findings) - len(lines)
        return [self.headline, *lines, *([f"{more} more in .findings."] if more > 0 else [])]

    def table(self) -> Rows:
        """The findings."""
        columns = ("severity", "BatchNorm", "kind", "channels>", "evidence", "advice")
        rows = [(f.severity, f.layer, f.kind, str(len(f.channels) or ""), f.evidence, f.advice) for f in self.findings]
        return columns, rows

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "fit": bool(self),
            "samples": self.samples,
            "batchnorms": list(self.batchnorms),
            "findings": [finding.to_json() for finding in self.findings],
        }


def ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The worst first; among equals in the order in which they were found."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))
