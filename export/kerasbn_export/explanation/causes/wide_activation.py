"""A tensor whose step is large against its values: an outlier has set its range."""

from __future__ import annotations

from kerasbn_export.explanation.evidence import Evidence
from kerasbn_export.explanation.records import Finding

NAME = "wide-activation"
LEAST_SQNR = 22.0
"""Of a tensor on its own grid, in dB. A range that fits has 35 to 45."""
RIGHT = 40.0
REACHED = 0.5
"""The part of its range that the samples reach where they have the outlier themselves."""
BOUNDED = ("SOFTMAX", "LOGISTIC", "LOG_SOFTMAX")
"""Operations whose ranges are fixed."""


def wide_activation(evidence: Evidence) -> Finding | None:
    """The `widest` tensor; None if there is none."""
    index = widest(evidence)
    if index is None:
        return None
    worst = evidence.spreads[index]
    own = worst.used >= REACHED
    export = evidence.commands.export
    return Finding(
        NAME,
        "an outlier has set the range of an activation, and leaves few steps for the other values.",
        f"tensor {evidence.name(index)!r}",
        f"on its grid it has {worst.sqnr_db:.1f} dB; the samples use {worst.used:.0%} of its range",
        export(precision="int16x8") if own else export(),
        estimate=RIGHT - max(worst.sqnr_db, 0.0),
        options={"precision": "int16x8", "io_dtype": None} if own else {},
        follows=("input-range", "calibration-samples", "channel-spread"),
    )


def widest(evidence: Evidence) -> int | None:
    """The tensor with the least signal to rounding noise; None if all have enough."""
    found = {index: spread.sqnr_db for index, spread in evidence.spreads.items() if _is_free(evidence, index)}
    index = min(found, key=found.__getitem__, default=None)
    return None if index is None or found[index] >= LEAST_SQNR else index


def _is_free(evidence: Evidence, index: int) -> bool:
    producer = evidence.graph.producers.get(index)
    return producer is not None and producer.name not in BOUNDED and evidence.spreads[index].grid.dtype == "int8"
