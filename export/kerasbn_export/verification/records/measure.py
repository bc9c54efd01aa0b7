"""How far one array is from another, added up over any number of batches.

For the reference ``r`` and the candidate ``c`` over every element of every sample::

    relative = max|r - c| / max|r|
    SQNR     = 10 log10(sum r^2 / sum (r - c)^2)        in dB
    cosine   = sum r c / sqrt(sum r^2 sum c^2)

All sums are in float64, taken a piece at a time. Nothing of a batch is kept but its maxima, its sums and its first
sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.verification.records.pieces import pieces

NOTHING = np.empty(0)


class Content(str, Enum):
    """What an output holds, as far as a comparison can learn from it."""

    VARIES = "varies"
    """Finite numbers that depend on the input."""
    CONSTANT = "constant"
    """One number everywhere, or the same numbers for every sample."""
    ZERO = "all zero"
    """Nothing but zeros."""
    NOT_FINITE = "not finite"
    """A NaN or an infinity somewhere."""


class ContentWatch:
    """Finds out what one side's output holds."""

    def __init__(self) -> None:
        self.samples = 0
        self.elements = 0
        self._finite = True
        self._low = math.inf
        self._high = -math.inf
        self._first: Array = NOTHING
        self._follows_input = False

    def update(self, batch: Array) -> None:
        """Look at some more samples."""
        if batch.size == 0:
            return
        first = batch[0] if self.samples == 0 else self._first
        for index in pieces(batch.shape):
            piece = batch[index]
            self._finite = self._finite and bool(np.all(np.isfinite(piece)))
            self._low, self._high = min(self._low, float(piece.min())), max(self._high, float(piece.max()))
            self._follows_input = self._follows_input or bool(np.any(piece != first[index[1:]]))
        self.samples += len(batch)
        self.elements += batch.size
        self._first = NOTHING if self._follows_input else first

    @property
    def content(self) -> Content:
        """The verdict so far; one single number is taken for one that varies."""
        if not self._finite:
            return Content.NOT_FINITE
        if self._low == self._high == 0.0:
            return Content.ZERO
        if self.elements > 1 and self._low == self._high:
            return Content.CONSTANT
        return Content.CONSTANT if self.samples > 1 and not self._follows_input else Content.VARIES


@dataclass(frozen=True)
class Measurement:
    """The distance between two outputs.

    Attributes:
        samples: The number of samples.
        elements: The number of elements compared.
        max_difference: ``max|r - c|``; infinite where either is not finite.
        max_reference: ``max|r|``.
        sqnr_db: Signal to noise in dB; infinite for equal arrays.
        cosine: The cosine of the angle between them; reported, never judged by.
        agreement: The part of samples with the same largest score; None where there are no scores.
        worst_sample: The index of the sample with the largest difference.
        reference_content: What the reference holds.
        candidate_content: What the candidate holds.
    """

    samples: int
    elements: int
    max_difference: float
    max_reference: float
    sqnr_db: float
    cosine: float
    agreement: float | None
    worst_sample: int
    reference_content: Content
    candidate_content: Content

    @property
    def relative(self) -> float:
        """``max|r - c| / max|r|``: the smallest tolerance that would have passed."""
        if self.max_difference == 0.0:
            return 0.0
        return self.max_difference / self.max_reference if self.max_reference else math.inf


class Measure:
    """Adds up a `Measurement` batch by batch.

    Args:
        scores: Whether the last axis holds scores of which the largest is the answer.
        start: The number of the first sample.
    """

    def __init__(self, *, scores: bool = False, start: int = 0) -> None:
        self._scores, self._start = scores, start
        self._reference, self._candidate = ContentWatch(), ContentWatch()
        self._max_difference, self._max_reference, self._worst = -1.0, 0.0, 0
        self._rr = self._cc = self._rc = self._noise = 0.0
        self._agreed = self._decisions = 0

    def update(self, reference: Array, candidate: Array) -> None:
        """Take in some more samples; both arrays have the same shape and the samples first."""
        start = self._start + self._reference.samples
        self._reference.update(reference)
        self._candidate.update(candidate)
        for index in pieces(reference.shape):
            r, c = np.asarray(reference[index], np.float64), np.asarray(candidate[index], np.float64)
            with np.errstate(invalid="ignore", over="ignore"):
                self._take_difference(r, c, start + (index[0].start if index else 0))
                self._take_sums(r, c)
        if self._scores and reference.ndim > 1:
            self._take_decisions(reference, candidate)

    def _take_sums(self, r: Array, c: Array) -> None:
        rr, noise = (
            float(np.sum(r * r)),
            float(np.sum((r - c) ** 2)),
        )  # BLAS would wait for its threads on a busy machine
        self._rr, self._noise = self._rr + rr, self._noise + noise
        self._cc, self._rc = self._cc + float(np.sum(c * c)), self._rc + float(np.sum(r * c))

    def _take_difference(self, r: Array, c: Array, start: int) -> None:
        difference = np.nan_to_num(np.abs(r - c), nan=math.inf, posinf=math.inf)
        by_sample = difference.reshape(len(difference), -1).max(axis=1)
        worst = int(by_sample.argmax())
        if by_sample[worst] > self._max_difference:
            self._max_difference, self._worst = float(by_sample[worst]), start + worst
        self._max_reference = max(self._max_reference, float(np.max(np.abs(r))))

    def _take_decisions(self, r: Array, c: Array) -> None:
        chosen = np.take_along_axis(r, c.argmax(axis=-1)[..., None], axis=-1)[..., 0]
        self._agreed += int(np.sum(chosen == r.max(axis=-1)))
        self._decisions += chosen.size

    def result(self) -> Measurement:
        """The measurement over everything so far."""
        return Measurement(
            samples=self._reference.samples,
            elements=self._reference.elements,
            max_difference=max(self._max_difference, 0.0),
            max_reference=self._max_reference,
            sqnr_db=decibels(self._rr, self._noise),
            cosine=self._rc / math.sqrt(self._rr * self._cc) if self._rr and self._cc else 0.0,
            agreement=self._agreed / self._decisions if self._decisions else None,
            worst_sample=self._worst,
            reference_content=self._reference.content,
            candidate_content=self._candidate.content,
        )


def decibels(signal: float, noise: float) -> float:
    """``10 log10(signal / noise)``; NaN noise is as bad as infinite noise."""
    if math.isnan(noise) or math.isinf(noise) or signal == 0.0:
        return math.inf if noise == 0.0 else -math.inf
    return math.inf if noise == 0.0 else 10.0 * math.log10(signal / noise)


def measure(reference: Array, candidate: Array, *, scores: bool = False) -> Measurement:
    """The measurement of two whole arrays."""
    running = Measure(scores=scores)
    running.update(reference, candidate)
    return running.result()
