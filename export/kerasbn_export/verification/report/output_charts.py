"""Pictures of one output: how values and errors are spread, and the numbers of each channel."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from kerasbn_export.verification.records.pictures import ERROR_DECADES, ChannelFit, ErrorCounts, Histogram, Numbers
from kerasbn_export.verification.report.svg import Axis, around, bar, bottom, dot, line, path, side, svg, text

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BASE = 480, 250, 58, 464, 30, 206
WIDE, STRIP = 920, 130
NOTHING = 0.01
"""A scale or shift within this of what it should be is drawn close to the middle line: a right one looks flat."""
SMALL = 1e-3
"""Of the largest error of a weight: a channel with less is not what is wrong."""


def value_chart(values: Histogram) -> str:
    """The reference's values as an area, the candidate's as a line."""
    bins = len(values.reference)
    x = Axis(values.low, values.high, LEFT, RIGHT)
    y = Axis(0, max(*values.reference, *values.candidate, 1) * 1.05, BASE, TOP, whole=True)
    edges = [x.at(values.low + (values.high - values.low) * i / bins) for i in range(bins + 1)]
    area = [(LEFT, BASE), *_steps(edges, values.reference, y), (RIGHT, BASE)]
    parts = [*side(y, LEFT, RIGHT, "elements"), *bottom(x, BASE, TOP, "value")]
    parts += [path(area, "area"), path(_steps(edges, values.reference, y), "line reference")]
    parts += [path(_steps(edges, values.candidate, y), "line candidate")]
    return svg(WIDTH, HEIGHT, "How the values of reference and candidate are spread", parts)


def _steps(edges: Sequence[float], counts: Sequence[int], y: Axis) -> list[tuple[float, float]]:
    return [
        (edge, y.at(count))
        for left, right, count in zip(edges, edges[1:], counts, strict=False)
        for edge in (left, right)
    ]


def error_chart(errors: ErrorCounts, tolerance: float | None) -> str:
    """How many elements have which error, with the gate as a line."""
    low, high = ERROR_DECADES
    filled = [i for i, count in enumerate(errors.counts) if count]
    if tolerance:
        filled.append(2 * math.floor(math.log10(tolerance) - low))
    first, last = (min(filled), max(filled)) if filled else (8, 16)
    x = Axis(10.0 ** (low + first // 2), 10.0 ** (low + min(last // 2 + 1, high - low)), LEFT, RIGHT, log=True)
    y = Axis(0, max(*errors.counts, 1) * 1.05, BASE, TOP, whole=True)
    parts = [*side(y, LEFT, RIGHT, "elements"), *bottom(x, BASE, TOP, "|difference| / max|reference|")]
    for i in (i for i, count in enumerate(errors.counts) if count):
        left, right = 10.0 ** (low + i / 2), 10.0 ** (low + (i + 1) / 2)
        kind = "bar differs" if tolerance is not None and left >= tolerance * (1 - 1e-9) else "bar"
        tip = f"{errors.counts[i]} elements from {left:.2g} to {right:.2g}"
        place = (x.at(left) + 1, y.at(errors.counts[i]), x.at(right) - x.at(left) - 2)
        parts.append(bar(*place, BASE - y.at(errors.counts[i]), kind, tip))
    if tolerance is not None and x.low < tolerance < x.high:
        parts.append(line(x.at(tolerance), TOP, x.at(tolerance), BASE, "gate"))
    return svg(WIDTH, HEIGHT, "How the errors are spread", parts)


def channel_chart(channels: ChannelFit, tolerance: float | None) -> str:
    """Three strips over the channels: error, scale, shift."""
    x = Axis(-0.5, max(channels.index) + 0.5, LEFT + 14, WIDE - 16, most=12, whole=True)
    strips = [_error_strip(channels, x, tolerance)]
    if any(scale is not None for scale in channels.scale):
        strips.append(_dots(channels, channels.scale, x, 1.0, "scale of candidate = scale * reference + shift"))
    strips.append(_dots(channels, channels.shift, x, 0.0, "shift / max|reference|"))
    parts = []
    for number, strip in enumerate(strips):
        parts += [f'<g transform="translate(0 {number * STRIP})">', *strip, "</g>"]
    height = len(strips) * STRIP
    parts += list(bottom(x, height - 6, height - 6, "channel"))
    return svg(WIDE, height + 36, "Largest error, scale and shift of every channel", parts)


def _error_strip(channels: ChannelFit, x: Axis, tolerance: float | None) -> Iterator[str]:
    known = [math.log10(error) for error in channels.error if error] or [-9.0]
    low, high = math.floor(min(known)), math.ceil(max(known))
    y = Axis(10.0**low, 10.0 ** max(high, low + 2), STRIP - 16, 26, log=True, most=3)
    yield from side(y, LEFT, WIDE - 16, "max|difference| / max|reference|")
    for i, error in zip(channels.index, channels.error, strict=True):
        value = y.high if error is None else max(error, y.low)
        kind = "differs" if tolerance is not None and (error is None or error > tolerance) else ""
        yield line(x.at(i), y.start, x.at(i), y.at(value), f"stem {kind}")
        yield dot(x.at(i), y.at(value), 3, f"dot {kind}", f"channel {i}: {'not finite' if error is None else error}")
    if tolerance is not None and y.low < tolerance < y.high:
        yield line(LEFT, y.at(tolerance), WIDE - 16, y.at(tolerance), "gate")


def _dots(channels: ChannelFit, values: Numbers, x: Axis, right: float, unit: str) -> Iterator[str]:
    known = [value for value in values if value is not None]
    y = Axis(*around(known, at_least=(right - NOTHING, right + NOTHING)), STRIP - 16, 26, most=3)
    yield from side(y, LEFT, WIDE - 16, unit)
    yield line(LEFT, y.at(right), WIDE - 16, y.at(right), "axis")
    for i, value in zip(channels.index, values, strict=True):
        if value is not None:
            yield dot(x.at(i), y.at(value), 3, "dot candidate", f"channel {i}: {value:.6g}")


def weight_chart(expected: Numbers, found: Numbers, weight: str) -> str:
    """Of a bias what was found less what was expected; of a kernel the one as a part of the other."""
    pairs = zip(expected, found, strict=True)
    if weight == "bias":
        values, right, unit = [_less(f, e) for e, f in pairs], 0.0, "found - expected"
    else:
        values, right, unit = [f / e if e and f is not None else None for e, f in pairs], 1.0, "found / expected"
    known = [value for value in values if value is not None]
    largest = max((abs(value - right) for value in known), default=1.0) or 1.0
    x = Axis(-0.5, max(len(values) - 0.5, 0.5), LEFT + 10, RIGHT, whole=True)
    y = Axis(*around(known, at_least=(right - largest / 20, right + largest / 20)), BASE - 40, TOP, most=4)
    parts = [*side(y, LEFT, RIGHT, unit), *bottom(x, BASE - 40, BASE - 40, "output channel")]
    parts.append(line(LEFT, y.at(right), RIGHT, y.at(right), "axis"))
    for i, value in enumerate(values):
        if value is not None:
            kind = "differs" if abs(value - right) > SMALL * largest else ""
            parts.append(line(x.at(i), y.at(right), x.at(i), y.at(value), f"stem {kind}"))
            parts.append(dot(x.at(i), y.at(value), 2.5, f"dot {kind}", f"channel {i}: {value:.4g}"))
    if not known:
        parts.append(text((LEFT + RIGHT) / 2, (TOP + BASE) / 2, "no finite number", "middle"))
    return svg(WIDTH, HEIGHT - 40, f"{weight}: {unit} by output channel", parts)


def _less(found: float | None, expected: float | None) -> float | None:
    return None if found is None or expected is None else found - expected
