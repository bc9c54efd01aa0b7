"""A file of a quantization-aware model: it has to be the model that was trained, not only as good as its gate asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kerasbn.quantized.ranges import is_tuned
from kerasbn_export.quantization.agreement import disagreements, listed
from kerasbn_export.quantization.tuned import read_tuned
from kerasbn_export.tflite.graph import TFLiteGraph
from kerasbn_export.verification.records.outputs import OutputComparison, Status
from kerasbn_export.verification.sides.ports import Runnable


def as_trained(
    reference: Runnable, candidate: Runnable, records: Sequence[OutputComparison]
) -> tuple[OutputComparison, ...]:
    """The judgements; ``differs`` where a range or a kernel of the reference is not what the file has.

    Args:
        reference: What is right by definition.
        candidate: What is judged.
        records: The judgements by what both compute.
    """
    model, file = getattr(reference, "original", None), getattr(candidate, "graph", None)
    if model is None or not isinstance(file, TFLiteGraph) or not is_tuned(model):
        return tuple(records)
    wrong = list(disagreements(file, read_tuned(model)))
    if not wrong:
        return tuple(records)
    reason = f"the file is not the model that was trained: {listed(wrong)}"
    return tuple(replace(record, status=Status.DIFFERS, reason=reason) for record in records)
