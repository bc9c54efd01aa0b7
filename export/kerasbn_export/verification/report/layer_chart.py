"""The error by layer: what is made in it and what has come together up to it, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from kerasbn_export.verification.records import LayerComparison
from kerasbn_export.verification.report.svg import Axis, bar, dot, line, svg, text

ROW, LEFT, RIGHT, WIDTH, TOP = 22, 216, 736, 920, 44
LETTERS = 32
"""How many of a layer's name there is room for."""


def layer_chart(layers: Sequence[LayerComparison], tolerance: float | None) -> str:
    """One row per layer: a dot for the error made there, a ring for all errors up to there.

    Args:
        layers: The layers in order.
        tolerance: The gate of the outputs; None where it is in dB.
    """
    axis = _axis(layers, tolerance)
    height = TOP + ROW * len(layers) + 8
    parts = [*_scale(axis, height), *_gate(axis, height, tolerance)]
    parts += [_row(axis, layer, TOP + ROW * i) for i, layer in enumerate(layers)]
    wrong = sum(not layer.passed and not layer.moved for layer in layers)
    return svg(WIDTH, height, f"Error by layer, {len(layers)} layers, {wrong} of them wrong", parts)


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


def _scale(axis: Axis, height: float) -> Iterator[str]:
    yield text((LEFT + RIGHT) / 2, 13, "max|difference| / max|reference|", "middle", "unit")
    for value, label in axis.ticks():
        yield line(axis.at(value), TOP - 8, axis.at(value), height - 8, "grid")
        yield text(axis.at(value), TOP - 13, label, "middle", "tick")


def _gate(axis: Axis, height: float, tolerance: float | None) -> Iterator[str]:
    if tolerance is not None and axis.low < tolerance < axis.high:
        yield line(axis.at(tolerance), TOP - 8, axis.at(tolerance), height - 8, "gate")


def _row(axis: Axis, layer: LayerComparison, y: float) -> str:
    kind = {"right": "", "moved": "moved", "wrong": "differs"}[answer(layer)]
    local, so_far, middle = axis.at(layer.local_error), axis.at(layer.cumulative_error), y + ROW / 2
    beyond = "" if layer.rounding is None or kind == "" else f", {layer.rounding:.3g}x rounding"
    name = layer.layer if len(layer.layer) <= LETTERS else "…" + layer.layer[1 - LETTERS :]
    tip = f"{layer.layer}: error made here {layer.local_error:.3g}, so far {layer.cumulative_error:.3g}; {layer.tensor}"
    parts = [
        f"<g><title>{escape(tip)}</title>",
        bar(0, y, WIDTH, ROW, "row"),
        text(LEFT - 12, middle + 4, name, "end"),
        line(min(local, so_far), middle, max(local, so_far), middle, f"stem {kind}"),
        dot(so_far, middle, 5, f"ring {kind}"),
        dot(local, middle, 4.5, f"dot {kind}"),
        text(RIGHT + 14, middle + 4, answer(layer) + beyond, "start", kind) if kind else "",
        "</g>",
    ]
    return "".join(parts)
