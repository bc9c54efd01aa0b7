"""How numbers are written."""

from __future__ import annotations

import math


def times(factor: float) -> str:
    """Three digits, without a power of ten."""
    digits = 0 if factor >= 100 else 1 if factor >= 10 else 2
    return f"{float(f'{factor:.3g}'):,.{digits}f}x" if math.isfinite(factor) else "infinitely"
