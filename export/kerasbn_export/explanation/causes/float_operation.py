"""An operation computes in float inside a file that is to be in integers."""

from __future__ import annotations

from kerasbn_export.devices.ways_out import way_out
from kerasbn_export.explanation.evidence import Evidence
from kerasbn_export.explanation.records import Costs, Finding
from kerasbn_export.precision import CALIBRATED

NAME = "float-operation"


def float_operation(evidence: Evidence) -> Finding | None:
    """The operations in float; None if there are none."""
    found = evidence.file.float_ops
    if evidence.precision not in CALIBRATED or not found:
        return None
    counts = ", ".join(f"{count} x {name}" for name, count in evidence.file.float_op_counts.items())
    return Finding(
        NAME,
        f"it computes in float inside an {evidence.precision} file. {way_out(found[0].name)}",
        f"{found[0].name} {found[0].outputs[0].name.partition(';')[0]!r}",
        f"{len(found)} of {len(evidence.file.ops)} operations: {counts}",
        evidence.commands.export(),
        Costs.SPEED,
    )
