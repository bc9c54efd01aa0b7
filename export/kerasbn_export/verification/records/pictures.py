"""What a page draws of an output: counts of its values and errors, numbers per channel, the sample that differs most.

Everything is bounded: some bins, `CHANNELS` channels, `VALUES` numbers of a line, `PIXELS` pixels along a side.
"""

from __future__ import annotations

from dataclasses import dataclass

BINS = 40
"""Of the values."""
ERROR_DECADES = (-12, 2)
"""The powers of ten between which relative errors are counted, in half decades."""
CHANNELS, VALUES, PIXELS = 256, 256, 64

Numbers = tuple[float | None, ...]
"""None stands for a number that is not finite or not known."""


@dataclass(frozen=True)
class Histogram:
    """Counts in equal bins from ``low`` to ``high``, the reference's range; what lies outside is in the end bins."""

    low: float
    high: float
    reference: tuple[int, ...]
    candidate: tuple[int, ...]


@dataclass(frozen=True)
class ErrorCounts:
    """How many elements have which ``|r - c| / max|r|``: none at all, or one in a half decade of `ERROR_DECADES`."""

    exact: int
    counts: tuple[int, ...]


@dataclass(frozen=True)
class ChannelFit:
    """Numbers per channel, of the channels with the largest errors where there are more than `CHANNELS`.

    Attributes:
        index: The channels.
        error: ``max|r - c|`` of the channel as a part of ``max|r|`` of the output.
        scale: The factor of ``c = scale*r + shift``; None where the channel does not vary.
        shift: The rest of it as a part of ``max|r|`` of the output.
        count: How many channels there are.
    """

    index: tuple[int, ...]
    error: Numbers
    scale: Numbers
    shift: Numbers
    count: int


@dataclass(frozen=True)
class Excerpt:
    """A part of one array that can be drawn: a line of numbers, or a picture.

    Attributes:
        name: What it is.
        shape: The shape of the whole sample.
        where: The part, as an index of numpy.
        values: The numbers of a line.
        size: Rows, columns and channels of a picture; empty for a line.
        pixels: Its bytes in base64, 0 standing for ``low`` and 255 for ``high``.
        low: The smallest number.
        high: The largest.
    """

    name: str
    shape: tuple[int, ...]
    where: str
    values: Numbers
    size: tuple[int, ...]
    pixels: str
    low: float | None
    high: float | None


@dataclass(frozen=True)
class WorstSample:
    """The sample with the largest difference: its inputs, what both sides make of it, and the difference."""

    index: int
    inputs: tuple[Excerpt, ...]
    reference: Excerpt
    candidate: Excerpt
    difference: Excerpt


@dataclass(frozen=True)
class Picture:
    """What a page draws of one output.

    Attributes:
        samples: How many samples the counts are of.
        values: How the values are spread.
        errors: How the errors are spread.
        channels: Numbers per channel, along the last axis.
        worst: The sample that differs most.
    """

    samples: int
    values: Histogram
    errors: ErrorCounts
    channels: ChannelFit
    worst: WorstSample
