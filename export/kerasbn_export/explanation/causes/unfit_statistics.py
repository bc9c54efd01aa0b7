"""The BatchNorm statistics of the model itself are not fit to ship."""

from __future__ import annotations

from kerasbn_export.explanation.evidence import Evidence
from kerasbn_export.explanation.records import Costs, Finding

NAME = "unfit-statistics"


def unfit_statistics(evidence: Evidence) -> Finding | None:
    """The first that `kerasbn.check` fails; None if it fails none, or there is no model."""
    failed = evidence.health.of("fail") if evidence.health is not None else []
    if not failed:
        return None
    first = failed[0]
    return Finding(
        NAME,
        f"the model's BatchNorm statistics are not fit ({first.kind}), and no file made of it can be right.",
        f"layer {first.layer!r}" if first.layer else "",
        first.evidence,
        evidence.commands.recalibrate(),
        Costs.MODEL,
    )
