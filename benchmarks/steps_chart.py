"""Draws accuracy by training steps: one line for each network and learning rate, as an SVG that stands alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kerasbn_export.verification.report.svg import Axis, bottom, line, path, side, svg, text

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BASE = 760, 380, 46, 560, 34, 330
STYLE = """<style>
svg { background: #fff; font: 12px sans-serif; } text { fill: #1b1f24; } .tick, .unit { fill: #59626d; }
.grid { stroke: #e2e5e9; } .axis { stroke: #9aa3ad; } .gate { stroke: #1b1f24; stroke-dasharray: 4 3; }
path { fill: none; stroke-width: 2; } .one { stroke: #2467ad; } .other { stroke: #b4540f; }
.dash0 { stroke-dasharray: 2 3; } .dash1 { stroke-dasharray: 7 3; }
</style>"""


@dataclass(frozen=True)
class Curve:
    """The accuracy of one network while it is trained.

    Attributes:
        name: Of the network.
        rate: The learning rate.
        every: Steps between two values.
        values: The accuracy after each so many steps.
    """

    name: str
    rate: float
    every: int
    values: tuple[float, ...]

    def steps_to(self, goal: float) -> int | None:
        """After how many steps the goal is reached; None if it never is."""
        reached = next((number for number, value in enumerate(self.values, 1) if value >= goal), None)
        return None if reached is None else reached * self.every


def draw_curves(curves: Sequence[Curve], goal: float) -> str:
    """The whole drawing; a network has a colour, a learning rate a pattern of dashes."""
    longest = max(curve.every * len(curve.values) for curve in curves)
    x, y = Axis(0, longest, LEFT, RIGHT), Axis(0, 1, BASE, TOP)
    label = "Held-out accuracy by training steps, with and without BatchNorm, at several learning rates"
    drawing = svg(WIDTH, HEIGHT, label, [STYLE, *_frame(x, y, goal), *_lines(curves, x, y)])
    return drawing.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _frame(x: Axis, y: Axis, goal: float) -> Iterator[str]:
    yield from bottom(x, BASE, TOP, "training steps, batches of 32")
    yield from side(y, LEFT, RIGHT, "held-out accuracy")
    yield line(LEFT, y.at(goal), RIGHT, y.at(goal), "gate")


def _lines(curves: Sequence[Curve], x: Axis, y: Axis) -> Iterator[str]:
    names, rates = sorted({curve.name for curve in curves}), sorted({curve.rate for curve in curves})
    for number, curve in enumerate(curves):
        kind = f"{('other', 'one')[names.index(curve.name) == 0]} dash{rates.index(curve.rate)}"
        yield path([(x.at(curve.every * (at + 1)), y.at(value)) for at, value in enumerate(curve.values)], kind)
        height = TOP + 20 + 22 * number
        yield path([(RIGHT + 12, height - 4), (RIGHT + 44, height - 4)], kind)
        yield text(RIGHT + 50, height, f"{curve.name}, {curve.rate:g}")
