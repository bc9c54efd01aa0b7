"""Pieces of an SVG: shapes, and the axis that turns a number into a place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Axis:
    """Numbers from ``low`` to ``high`` on the pixels from ``start`` to ``stop``; what lies outside is put at the end.

    Attributes:
        low: The smallest number.
        high: The largest.
        start: The pixel of ``low``.
        stop: The pixel of ``high``.
        log: Whether equal ratios take equal room; then both are above zero.
        most: How many ticks it has, about.
        whole: Whether there is nothing between whole numbers.
    """

    low: float
    high: float
    start: float
    stop: float
    log: bool = False
    most: int = 6
    whole: bool = False

    def at(self, value: float) -> float:
        """The pixel of a number."""
        low, high, place = (self._measure(number) for number in (self.low, self.high, self._inside(value)))
        return self.start + (self.stop - self.start) * (place - low) / (high - low)

    def ticks(self) -> list[tuple[float, str]]:
        """Round numbers along the axis, with their labels."""
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            powers = range(first, last + 1, max(1, math.ceil((last - first) / self.most)))
            return [(10.0**power, "1" if power == 0 else f"1e{power}") for power in powers]
        found = self._multiples(_round_step((self.high - self.low) / self.most))
        return found if len(found) > 1 else self._multiples(_round_step((self.high - self.low) / self.most / 2))

    def _multiples(self, step: float) -> list[tuple[float, str]]:
        step = max(step, 1.0) if self.whole else step
        numbers = range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)
        return [(number * step, _label(number * step, step)) for number in numbers]

    def _inside(self, value: float) -> float:
        return min(max(value, self.low), self.high)

    def _measure(self, value: float) -> float:
        return math.log10(value) if self.log else value


def _label(value: float, step: float) -> str:
    """With as many digits as the step needs."""
    if value == 0:
        return "0"
    power = math.floor(math.log10(abs(value)) + 1e-9)
    if power >= 6 or power < -4:
        mantissa = f"{value / 10.0**power:.{max(power - math.floor(math.log10(step) + 1e-9), 0)}f}"
        return f"{mantissa}e{power}"
    return f"{value:.{max(-math.floor(math.log10(step) + 1e-9), 0)}f}"


def _round_step(step: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


def around(values: Iterable[float], *, at_least: tuple[float, float]) -> tuple[float, float]:
    """The range of some numbers with a margin, no smaller than another range."""
    low, high = at_least
    finite = [value for value in values if math.isfinite(value)]
    low, high = min([low, *finite]), max([high, *finite])
    margin = 0.06 * (high - low)
    return low - margin, high + margin


def svg(width: float, height: float, label: str, parts: Iterable[str]) -> str:
    """A drawing; ``label`` says in words what it shows."""
    view = f'viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label)}"'
    room = f"min-width:{0.8 * width:g}px;max-width:{1.15 * width:g}px"  # letters from 10 to 14 pixels
    return f'<svg {view} style="{room}">\n' + "\n".join(parts) + "\n</svg>"


def text(x: float, y: float, words: str, anchor: str = "start", kind: str = "") -> str:
    """Words; ``anchor`` says which part of them is at ``x``."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def dot(x: float, y: float, radius: float, kind: str, tip: str = "") -> str:
    """A circle; ``tip`` shows under the pointer."""
    title = f"<title>{escape(tip)}</title>" if tip else ""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="{kind}">{title}</circle>'


def bar(x: float, y: float, width: float, height: float, kind: str, tip: str = "") -> str:
    """A rectangle."""
    title = f"<title>{escape(tip)}</title>" if tip else ""
    place = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}"'
    return f'<rect {place} class="{kind}">{title}</rect>'


def path(points: Sequence[tuple[float, float] | None], kind: str) -> str:
    """A line through points, broken at each None."""
    words, lifted = [], True
    for point in points:
        if point is not None:
            words.append(f"{'M' if lifted else 'L'}{point[0]:.1f} {point[1]:.1f}")
        lifted = point is None
    return f'<path d="{"".join(words)}" class="{kind}"/>'


def bottom(axis: Axis, y: float, top: float, unit: str) -> Iterator[str]:
    """A horizontal axis: grid lines up to ``top``, labels, and what is measured."""
    for value, label in axis.ticks():
        yield line(axis.at(value), top, axis.at(value), y, "grid")
        yield text(axis.at(value), y + 16, label, "middle", "tick")
    yield line(axis.start, y, axis.stop, y, "axis")
    yield text((axis.start + axis.stop) / 2, y + 34, unit, "middle", "unit")


def side(axis: Axis, x: float, right: float, unit: str) -> Iterator[str]:
    """A vertical axis: grid lines up to ``right``, labels, and above them what is measured."""
    for value, label in axis.ticks():
        yield line(x, axis.at(value), right, axis.at(value), "grid")
        yield text(x - 6, axis.at(value) + 4, label, "end", "tick")
    yield text(x, axis.stop - 9, unit, "start", "unit")
