"""One scale for a whole kernel whose channels differ: the small ones get few steps."""

from __future__ import annotations

from kerasbn_export.explanation.evidence import Evidence
from kerasbn_export.explanation.kernels import most_uneven
from kerasbn_export.explanation.records import Finding
from kerasbn_export.precision import PER_CHANNEL

NAME = "one-scale"
UNEVEN = 4.0
"""How many times the middle range the largest may be: two bits less for half of the channels."""


def one_scale(evidence: Evidence) -> Finding | None:
    """The kernel with one scale whose channels differ most; None if none do."""
    worst = most_uneven((each for each in evidence.kernels if each.one_scale), UNEVEN)
    if worst is None:
        return None
    return Finding(
        NAME,
        "one scale serves the whole kernel, and its channels differ.",
        evidence.where(worst.operation),
        f"the largest channel is {worst.spread:.0f} x the middle one",
        evidence.commands.export("--weights", PER_CHANNEL, calibrated=evidence.precision == "int8"),
        estimate=worst.lost_db,
        options={"weights": PER_CHANNEL},
    )
