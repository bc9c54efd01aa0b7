"""Eight bits are too few: no cause is known, and the file differs."""

from __future__ import annotations

from kerasbn_export.explanation.evidence import Evidence
from kerasbn_export.explanation.records import Finding

NAME = "few-steps"


def few_steps(evidence: Evidence) -> Finding | None:
    """An int8 file that only rounds, and too much; None where it passes, or a layer is wrong."""
    comparison = evidence.comparison
    if evidence.precision != "int8" or comparison is None or comparison or comparison.first_divergence:
        return None
    worst = min((output.measurement.sqnr_db for output in comparison.outputs), default=0.0)
    return Finding(
        NAME,
        "every layer only rounds, and 256 steps are too few for this network.",
        "",
        f"SQNR is {worst:.1f} dB",
        evidence.commands.export(precision="int16x8"),
        options={"precision": "int16x8", "io_dtype": None},
    )
