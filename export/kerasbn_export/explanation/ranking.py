"""Which cause comes first."""

from __future__ import annotations

from collections.abc import Sequence

from kerasbn_export.explanation.records import Costs, Finding

HARMLESS = 0.5
"""What mending gives at least in dB, where it is measured, for a finding to be a cause."""


def ranked(findings: Sequence[Finding]) -> list[Finding]:
    """What costs accuracy before what costs speed, by what mending gives; a consequence behind its cause.

    Args:
        findings: In the order of the causes, which decides between equals.
    """
    worth = {finding.name: finding.worth for finding in findings}

    def place(finding: Finding) -> tuple[int, float, int]:
        roots = [worth[name] for name in finding.follows if name in worth]
        return list(Costs).index(finding.costs), -min([finding.worth, *roots]), len(roots)

    return sorted(findings, key=place)


def is_harmless(finding: Finding) -> bool:
    """Whether it was mended, and that gave nothing."""
    return finding.costs is Costs.ACCURACY and finding.gain is not None and finding.gain < HARMLESS
