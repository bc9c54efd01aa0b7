"""Eight bits are too few: no cause is known, and the file differs."""

from __future__ import annotations

from kerasbn_export.explanation.evidence import Evidence
from kerasbn_export.explanation.records import Finding
from kerasbn_export.verification.records.comparison import Comparison

NAME = "few-steps"


def few_steps(evidence: Evidence) -> Finding | None:
    """An int8 file that only rounds, and too much; None where it passes, or a layer is wrong."""
    comparison = evidence.comparison
    if evidence.precision != "int8" or comparison is None or comparison or _is_wrong(comparison):
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


def _is_wrong(comparison: Comparison) -> bool:
    """Whether a layer is wrong beyond rounding; one that rounds to a grid too coarse for its own output is not."""
    first = comparison.first_divergence
    return first is not None and not any(
        layer.passed for layer in comparison.per_layer if (layer.layer, layer.tensor) == (first.layer, first.tensor)
    )
