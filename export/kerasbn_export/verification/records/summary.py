"""A comparison in a few lines: what a failed test prints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kerasbn_export.verification.records.comparison import Comparison

SHOWN = 5
"""How many wrong weights are listed."""


def lines_of(comparison: Comparison) -> Iterator[str]:
    """What is printed below the verdict."""
    yield f"reference: {comparison.reference}"
    yield f"candidate: {comparison.candidate}"
    for output in comparison.outputs:
        yield f"{output.title}: {output.status.value}; gate: {output.gate}{_scale(output.input_scale)}"
    wrong = [weight for weight in comparison.weights if not weight.passed]
    for weight in wrong[:SHOWN]:
        yield weight.sentence
    if len(wrong) > SHOWN:
        yield f"and {len(wrong) - SHOWN} more wrong weights"
    yield f"smallest tolerance that would have passed: {comparison.required_tolerance:.3g}"
    for note in comparison.notes:
        yield f"note: {note}"


def _scale(scale: float | None) -> str:
    return "" if scale is None else f"; worst at inputs of standard deviation {scale:g}"
