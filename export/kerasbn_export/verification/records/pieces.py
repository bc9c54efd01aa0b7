"""Large arrays a piece at a time, so that comparing two takes no memory of their size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

BLOCK = 1 << 16
"""The elements of a piece."""

Index = tuple[slice, ...]


def pieces(shape: Sequence[int], block: int = BLOCK) -> Iterator[Index]:
    """Indices that cut an array into pieces, in order; each has whole samples or is a part of one.

    Args:
        shape: The array's, samples first.
        block: The elements of a piece at most.
    """
    if not shape:
        yield ()
        return
    size = math.prod(shape[1:])
    if size <= block:
        rows = block // max(size, 1)
        for start in range(0, shape[0], rows):
            yield (slice(start, start + rows),)
        return
    for sample in range(shape[0]):
        for inner in pieces(shape[1:], block):
            yield (slice(sample, sample + 1), *inner)
