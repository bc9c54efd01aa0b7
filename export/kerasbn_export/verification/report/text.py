"""The short report: what a failed test prints."""

from __future__ import annotations

import math
from collections.abc import Iterator

from kerasbn_export.verification.records import Comparison

SHOWN = 5
"""How many wrong weights are listed."""


def to_text(comparison: Comparison) -> str:
    """The verdict, the two sides, every output, what is wrong inside, and the tolerance that would have passed."""
    return "\n  ".join([comparison.verdict, *_lines(comparison)])


def _lines(comparison: Comparison) -> Iterator[str]:
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


def times(factor: float) -> str:
    """Three digits, without a power of ten."""
    digits = 0 if factor >= 100 else 1 if factor >= 10 else 2
    return f"{float(f'{factor:.3g}'):,.{digits}f}x" if math.isfinite(factor) else "infinitely"
