"""A BatchNorm stands in the file as MUL and ADD."""

from __future__ import annotations

from typing import Any

from kerasbn_export.explanation.evidence import Evidence
from kerasbn_export.explanation.records import Costs, Finding
from kerasbn_export.folding.verdict import Action, Reason
from kerasbn_export.precision import CALIBRATED

NAME = "batchnorm-left"
STAYED = (Action.KEPT.value,)


def batchnorm_left(evidence: Evidence) -> Finding | None:
    """What multiplies and adds a constant to each channel; None if nothing does, or folding is not what it lacks."""
    left = evidence.file.affine_ops
    if not left:
        return None
    number = f"{len(left)} operation{'s' * (len(left) != 1)} by channel: {', '.join(sorted({op.name for op in left}))}"
    if evidence.unfolded:
        return Finding(
            NAME,
            "a BatchNorm was not folded: it stands in the file as MUL and ADD.",
            f"{left[0].name} {left[0].outputs[0].name.partition(';')[0]!r}",
            number,
            evidence.commands.export(calibrated=evidence.precision in CALIBRATED),
            Costs.SPEED,
            options={"fold": True},
        )
    stayed = _stayed(evidence)
    if not stayed:
        return None
    return Finding(
        NAME, stayed[0]["sentence"], f"layer {stayed[0]['layer']!r}", number, evidence.commands.inspect(), Costs.SPEED
    )


def _stayed(evidence: Evidence) -> list[dict[str, Any]]:
    """The verdicts of BatchNorms that folding left; those stay on purpose without which the file was measured worse."""
    verdicts = (evidence.record or {}).get("verdicts") or []
    return [each for each in verdicts if each["action"] in STAYED and each.get("reason") != Reason.COARSER.value]
