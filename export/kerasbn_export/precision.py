"""The numeric precisions of a file."""

from __future__ import annotations

CALIBRATED = ("int16x8", "int8")
"""Precisions whose ranges were measured on data: inputs of another size prove nothing."""

COARSENESS = ("float32", "float16", "dynamic", "int16x8", "int8")


def coarsest(*precisions: str) -> str:
    """The least exact of several precisions: the one whose gate applies."""
    return max(precisions, key=COARSENESS.index)
