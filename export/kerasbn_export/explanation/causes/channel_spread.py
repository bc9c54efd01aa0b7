"""A layer whose output channels have very different ranges: the small ones get few steps of the shared activation."""

from __future__ import annotations

from kerasbn_export.explanation.evidence import Evidence
from kerasbn_export.explanation.kernels import most_uneven
from kerasbn_export.explanation.records import Finding
from kerasbn_export.precision import CALIBRATED

NAME = "channel-spread"
UNEVEN = 30.0
"""As the threshold of ``uneven-scale`` of `kerasbn.check`."""


def channel_spread(evidence: Evidence) -> Finding | None:
    """The layer with the largest spread; None if none is large. Kernels with one scale are another cause."""
    if evidence.precision not in CALIBRATED:
        return None
    worst = most_uneven((each for each in evidence.kernels if not each.one_scale), UNEVEN)
    if worst is None:
        return None
    return Finding(
        NAME,
        "the output channels of the layer have very different ranges, and share one range as activations.",
        evidence.where(worst.operation),
        f"the largest channel is {worst.spread:.0f} x the middle one",
        evidence.commands.export("--best"),
        estimate=worst.lost_db,
        options={"best": True},
    )
