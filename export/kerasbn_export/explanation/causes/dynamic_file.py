"""Weights in int8 and arithmetic in float: the converter was given no samples."""

from __future__ import annotations

from kerasbn_export.explanation.evidence import Evidence
from kerasbn_export.explanation.records import Costs, Finding

NAME = "dynamic-file"


def dynamic_file(evidence: Evidence) -> Finding | None:
    """A file that kerasbn did not make and that has no ranges; None for any other: there it was asked for."""
    if evidence.precision != "dynamic" or evidence.record is not None:
        return None
    count = len(evidence.file.float_ops)
    return Finding(
        NAME,
        "only the weights are in int8: the converter was given no samples to measure ranges on.",
        "",
        f"{count} of {len(evidence.file.ops)} operations give float",
        evidence.commands.export(precision="int8"),
        Costs.SPEED,
    )
