"""The two sides of a comparison, run on the same samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kerasbn_export.arrays import Array
from kerasbn_export.verification.sides.ports import Runnable

CHUNK = 8
"""Samples run at a time: memory does not grow with their number."""


@dataclass(frozen=True)
class Sides:
    """The two sides and which end is which.

    Attributes:
        reference: What is right by definition.
        candidate: What is judged.
        feeds: For each input of the reference the index of the candidate's.
        pairs: For each output of the reference the index of the candidate's.
    """

    reference: Runnable
    candidate: Runnable
    feeds: tuple[int, ...]
    pairs: tuple[int, ...]

    def for_candidate(self, arrays: Sequence[Array]) -> list[Array]:
        """The inputs in the candidate's order and dtypes."""
        given = dict(zip(self.feeds, arrays, strict=True))
        return [given[i].astype(port.dtype) for i, port in enumerate(self.candidate.inputs)]

    def as_seen(self, arrays: Sequence[Array]) -> list[Array]:
        """The inputs in the reference's order as the candidate sees them: on the grids of its own."""
        grids = [self.candidate.inputs[i].quantization for i in self.feeds]
        return [grid.restore(grid.store(x)) if grid else x for grid, x in zip(grids, arrays, strict=True)]

    def run(self, arrays: Sequence[Array]) -> Iterator[tuple[int, str, Array, Array]]:
        """Every output of both sides, and what goes into its softmax or sigmoid where both show it."""
        other = self.for_candidate(arrays)
        (r, rb), (c, cb) = self.reference.run_with_scores(arrays), self.candidate.run_with_scores(other)
        for i, j in enumerate(self.pairs):
            yield i, "output", r[i], c[j]
            before_r, before_c = rb[i], cb[j]
            if before_r is not None and before_c is not None and before_r.shape == before_c.shape:
                yield i, "before activation", before_r, before_c


@dataclass(frozen=True)
class Batch:
    """Some samples, made as they are needed: memory does not grow with their number.

    Attributes:
        scale: The standard deviation they are drawn with; None for the user's own.
        start: The number of samples in the batches before.
        count: How many there are.
        draw: Gives one array per input of the reference for the first of some samples, counted from 0 in steps of
            `CHUNK`, and their number; the same ones each time.
    """

    scale: float | None
    start: int
    count: int
    draw: Callable[[int, int], list[Array]]

    def __len__(self) -> int:
        return self.count

    def chunks(self) -> Iterator[list[Array]]:
        """The samples a few at a time."""
        for first in range(0, self.count, CHUNK):
            yield self._chunk(first)

    def chunk_of(self, index: int) -> tuple[int, list[Array]]:
        """The samples that run together with one, and the number of the first of them over all batches."""
        first = (index - self.start) // CHUNK * CHUNK
        return self.start + first, self._chunk(first)

    def sample(self, index: int, batch: int) -> list[Array]:
        """One sample, by its number over all batches, as a batch of copies."""
        start, arrays = self.chunk_of(index)
        return [array[[index - start] * batch] for array in arrays]

    def _chunk(self, first: int) -> list[Array]:
        return self.draw(first, min(CHUNK, self.count - first))
