"""Reduces the values of an output to what can be drawn.

For the values ``r`` and ``c`` of one channel over the samples drawn::

    c = scale*r + shift        by least squares: a lost gamma shows in the scale, a lost bias in the shift
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.verification.records.pictures import (
    BINS,
    CHANNELS,
    ERROR_DECADES,
    PIXELS,
    VALUES,
    ChannelFit,
    ErrorCounts,
    Excerpt,
    Histogram,
    Numbers,
    Picture,
    WorstSample,
)


def histogram(reference: Array, candidate: Array) -> Histogram:
    """The values of both sides in the same bins."""
    low, high = _limits(reference)
    margin = (high - low) / BINS or max(abs(low), 1.0) / 2
    low, high = low - margin, high + margin
    counts = [np.histogram(_inside(side, low, high), BINS, (low, high))[0] for side in (reference, candidate)]
    return Histogram(low, high, *(tuple(int(n) for n in count) for count in counts))


def error_counts(reference: Array, candidate: Array, largest: float) -> ErrorCounts:
    """The errors of all elements as parts of ``largest``."""
    relative = _relative(np.abs(reference - candidate), largest).ravel()
    low, high = ERROR_DECADES
    with np.errstate(divide="ignore"):
        powers = np.log10(relative[relative > 0])
    counts = np.histogram(_inside(powers, low, high), 2 * (high - low), (low, high))[0]
    return ErrorCounts(int(np.sum(relative == 0)), tuple(int(n) for n in counts))


def channel_fit(reference: Array, candidate: Array, largest: float) -> ChannelFit:
    """Error, scale and shift of every channel."""
    r, c = (side.reshape(-1, side.shape[-1] if side.ndim > 1 else 1) for side in (reference, candidate))
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        error = _relative(np.abs(r - c), largest).max(axis=0)
        spread = r - r.mean(axis=0)
        scale = np.sum(spread * c, axis=0) / np.sum(spread**2, axis=0)
        scale = np.where(np.ptp(r, axis=0) > 1e-6 * largest, scale, np.nan)
        shift = (c.mean(axis=0) - np.where(np.isnan(scale), 1.0, scale) * r.mean(axis=0)) / largest
    index = np.sort(np.argsort(-error, kind="stable")[:CHANNELS])
    error, scale, shift = (array[index] for array in (error, scale, shift))
    kept = tuple(int(i) for i in index)
    return ChannelFit(kept, numbers(error), numbers(scale), numbers(shift), count=r.shape[1])


def channel_weights(expected: Array, held: Array, axes: tuple[int, ...]) -> tuple[Numbers, Numbers]:
    """A kernel or bias and the candidate's, by output channel.

    A bias as it is; of a kernel ``|W|`` and ``W.V/|W|`` for the channel's expected weights W and the candidate's V.

    Args:
        expected: The kernel or bias expected.
        held: The candidate's, in the same shape.
        axes: The axes of the output channels of a kernel.
    """
    if expected.ndim < 2:
        return numbers(expected.ravel()[:CHANNELS]), numbers(held.ravel()[:CHANNELS])
    e, h = (_by_channel(side, axes)[:CHANNELS] for side in (expected, held))
    norm = np.linalg.norm(e, axis=1)
    along = np.divide(np.sum(e * h, axis=1), norm, out=np.linalg.norm(h, axis=1), where=norm > 0)
    return numbers(norm), numbers(along)


def _by_channel(kernel: Array, axes: tuple[int, ...]) -> Array:
    moved = np.moveaxis(kernel, axes, range(len(axes)))
    return moved.reshape(math.prod(moved.shape[: len(axes)]), -1)


def excerpt(name: str, sample: Array, at: int, limits: tuple[float, float] | None = None) -> Excerpt:
    """What can be drawn of one sample.

    Args:
        name: What it is.
        sample: The array, without the batch.
        at: The flat index of the element that must be in a line.
        limits: What black and white stand for; None for the least and the largest.
    """
    low, high = limits or _limits(sample)
    ends = numbers(np.array([low, high]))
    if _is_image(sample):
        step = math.ceil(max(sample.shape[:2]) / PIXELS)
        shown = np.nan_to_num(sample[::step, ::step].astype(np.float64), nan=high, posinf=high, neginf=low)
        bytes_ = np.rint(255 * np.clip((shown - low) / ((high - low) or 1.0), 0, 1)).astype(np.uint8)
        text = base64.b64encode(bytes_.tobytes()).decode("ascii")
        where = "" if step == 1 else f"[::{step}, ::{step}]"
        return Excerpt(name, sample.shape, where, (), bytes_.shape, text, *ends)
    line, where = _line(sample, at)
    return Excerpt(name, sample.shape, where, numbers(line), (), "", *ends)


def numbers(array: Array) -> Numbers:
    """Six digits of each; None for what is not finite."""
    return tuple(float(f"{value:.6g}") if math.isfinite(value) else None for value in array.tolist())


def picture(reference: Array, candidate: Array, worst: int, index: int, inputs: Sequence[tuple[str, Array]]) -> Picture:
    """The picture of one output.

    Args:
        reference: The reference's values, samples first.
        candidate: The candidate's.
        worst: Which of these samples differs most.
        index: The number of that sample among all.
        inputs: The name of every input and that sample of it.
    """
    r, c = np.asarray(reference, np.float64), np.asarray(candidate, np.float64)
    largest = float(np.max(np.abs(r), initial=0.0, where=np.isfinite(r))) or 1.0
    with np.errstate(invalid="ignore"):
        errors, channels = error_counts(r, c, largest), channel_fit(r, c, largest)
        sample = _worst_sample(r[worst], c[worst], index, inputs)
    return Picture(len(r), histogram(r, c), errors, channels, sample)


def _worst_sample(r: Array, c: Array, index: int, inputs: Sequence[tuple[str, Array]]) -> WorstSample:
    difference = np.abs(r - c)
    at = int(np.argmax(np.nan_to_num(difference, nan=np.inf)))
    limits = _limits(r)
    return WorstSample(
        index,
        tuple(excerpt(name, array, int(np.argmax(np.abs(array)))) for name, array in inputs),
        excerpt("reference", r, at, limits),
        excerpt("candidate", c, at, limits),
        excerpt("|difference|", difference, at),
    )


def _limits(array: Array) -> tuple[float, float]:
    """The least and the largest finite number."""
    finite = array[np.isfinite(array)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _inside(array: Array, low: float, high: float) -> Array:
    """What is not a number is the furthest off."""
    inside: Array = np.clip(np.nan_to_num(array, nan=high, posinf=high, neginf=low), low, high)
    return inside


def _relative(difference: Array, largest: float) -> Array:
    relative: Array = np.nan_to_num(difference / largest, nan=np.inf, posinf=np.inf)
    return relative


def _is_image(sample: Array) -> bool:
    return sample.ndim == 3 and sample.shape[-1] in (1, 3) and min(sample.shape[:2]) >= 4


def _line(sample: Array, at: int) -> tuple[Array, str]:
    """Through one element along the longest axis, at most `VALUES` numbers around it."""
    if sample.ndim == 0:
        return sample.reshape(1).astype(np.float64), ""
    place = [int(i) for i in np.unravel_index(at, sample.shape)]
    axis = int(np.argmax(sample.shape))
    start = max(0, min(place[axis] - VALUES // 2, sample.shape[axis] - VALUES))
    stop = min(start + VALUES, sample.shape[axis])
    index = tuple(slice(start, stop) if i == axis else place[i] for i in range(sample.ndim))
    whole = stop - start == sample.shape[axis]
    words = [(":" if whole else f"{start}:{stop}") if i == axis else str(place[i]) for i in range(sample.ndim)]
    return sample[index].astype(np.float64), "" if words == [":"] else f"[{', '.join(words)}]"
