"""The error by layer: what is made in it and what has come together up to it, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from kerasbn_export.verification.records.layers import LayerComparison
from kerasbn_export.verification.report.svg import Axis, bar, dot, line, svg, text
from kerasbn_export.verification.report.text import times

ROW, LEFT, RIGHT, WIDTH, TOP = 22, 216, 712, 920, 40
LETTERS = 28
"""How many of a layer's name there is room for."""


def layer_chart(layers: Sequence[LayerComparison], tolerance: float | None) -> str:
    """One row per layer: a dot for the error made there, a ring for all errors up to there.

    Args:
        layers: The layers in order.
        tolerance: The gate of the outputs; None where it is in dB.
    """
    axis, height = _axis(layers, tolerance), ROW * len(layers) + 6
    wrong = sum(answer(layer) == "wrong" for layer in layers)
    rows = [*_grid(axis, height, tolerance), *(_row(axis, layer, ROW * i) for i, layer in enumerate(layers))]
    head = svg(WIDTH, TOP, "The scale of the error by layer", _scale(axis))
    body = svg(WIDTH, height, f"Error by layer, {len(layers)} layers, {wrong} of them wrong", rows)
    return f'<div class="tall"><div class="head">{head}</div>{body}</div>'


def answer(layer: LayerComparison) -> str:
    """What is said of a layer."""
    return "right" if layer.passed else "moved" if layer.moved else "wrong"


def _axis(layers: Sequence[LayerComparison], tolerance: float | None) -> Axis:
    """Whole decades around all errors; those of zero are put at the lower end."""
    errors = [error for layer in layers for error in (layer.local_error, layer.cumulative_error)]
    known = [error for error in (*errors, tolerance or 1e-5) if 0 < error < math.inf]
    low = max(math.floor(math.log10(min(known))), -12)
    high = min(max(math.ceil(math.log10(max(known))), low + 3), 3)
    return Axis(10.0**low, 10.0**high, LEFT, RIGHT, log=True)


def _scale(axis: Axis) -> Iterator[str]:
    yield text((LEFT + RIGHT) / 2, 13, "max|difference| / max|reference|", "middle", "unit")
    for value, label in axis.ticks():
        yield text(axis.at(value), TOP - 8, label, "middle", "tick")


def _grid(axis: Axis, height: float, tolerance: float | None) -> Iterator[str]:
    for value, _ in axis.ticks():
        yield line(axis.at(value), 0, axis.at(value), height, "grid")
    if tolerance is not None and axis.low < tolerance < axis.high:
        yield line(axis.at(tolerance), 0, axis.at(tolerance), height, "gate")


def _row(axis: Axis, layer: LayerComparison, y: float) -> str:
    kind = {"right": "", "moved": "moved", "wrong": "differs"}[answer(layer)]
    local, so_far, middle = axis.at(layer.local_error), axis.at(layer.cumulative_error), y + ROW / 2
    beyond = "" if layer.rounding is None or not kind else f", {times(layer.rounding)} rounding"
    tip = f"{layer.layer}: error made here {layer.local_error:.3g}, so far {layer.cumulative_error:.3g}; {layer.tensor}"
    parts = [
        f"<g><title>{escape(tip)}</title>",
        bar(0, y, WIDTH, ROW, "row"),
        text(LEFT - 12, middle + 4, short(layer.layer), "end"),
    ]
    if layer.local_error > 0:
        parts.append(line(min(local, so_far), middle, max(local, so_far), middle, f"stem {kind}"))
    if layer.cumulative_error > 0:
        parts.append(dot(so_far, middle, 5, f"ring {kind}"))
    if layer.local_error > 0:
        parts.append(dot(local, middle, 4.5, f"dot {kind}"))
    if kind:
        parts.append(text(RIGHT + 16, middle + 4, answer(layer) + beyond, "start", kind))
    return "".join([*parts, "</g>"])


def short(name: str) -> str:
    """Its first and its last letters if it is too long: numbers are found at both ends."""
    half = LETTERS // 2
    return name if len(name) <= LETTERS else f"{name[: half - 1]}…{name[-half:]}"
