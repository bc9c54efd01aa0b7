"""QUANTIZE and DEQUANTIZE inside of a file, or at its ends where nobody asked for float."""

from __future__ import annotations

from kerasbn_export.explanation.evidence import Evidence
from kerasbn_export.explanation.records import Costs, Finding
from kerasbn_export.tflite.graph import Operation

NAME = "conversions"


def conversions(evidence: Evidence) -> Finding | None:
    """The conversions between integers and float; None if there are none that something mends."""
    if evidence.precision != "int8":
        return None
    found = [each for each in evidence.graph.operations if _converts(evidence, each)]
    inside = [each for each in found if not _at_an_end(evidence, each)]
    ends = [] if evidence.record is not None else [each for each in found if each not in inside]
    if not inside and not ends:
        return None
    what = "numbers go to float and back inside of the file." if inside else "the file takes and gives float."
    first, options = (inside or ends)[0], () if inside else ("--io-dtype", "int8")
    return Finding(
        NAME,
        what,
        evidence.where(first),
        f"{len(inside)} conversions inside, {len(ends)} at the ends",
        evidence.commands.export(*options),
        Costs.SPEED,
        follows=("float-operation",),
    )


def _converts(evidence: Evidence, operation: Operation) -> bool:
    """Whether it goes from or to float; from one grid to another is arithmetic, and a constant is no work."""
    tensors = [evidence.graph.tensors[index] for index in (*operation.inputs, *operation.outputs)]
    named = operation.name in ("QUANTIZE", "DEQUANTIZE")
    return named and not tensors[0].constant and any(each.dtype == "float32" for each in tensors)


def _at_an_end(evidence: Evidence, operation: Operation) -> bool:
    graph = evidence.graph
    return operation.inputs[0] in graph.inputs or operation.outputs[0] in graph.outputs
