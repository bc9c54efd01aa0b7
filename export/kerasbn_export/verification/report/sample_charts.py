"""The worst sample: a picture where it is one, else a line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape

from kerasbn_export.verification.records.pictures import Excerpt, WorstSample
from kerasbn_export.verification.report.png import png_address
from kerasbn_export.verification.report.svg import Axis, around, bottom, dot, path, side, svg

WIDTH, HEIGHT, LEFT, RIGHT, TOP = 920, 190, 72, 904, 30
DOTS = 48
"""Up to so many numbers each has a dot."""
DIFFERENCE = "|difference|"
"""It is drawn from zero on."""


def input_figures(sample: WorstSample) -> Iterator[tuple[str, str]]:
    """For every input its title and its picture."""
    for part in sample.inputs:
        drawn = _images([part]) if part.size else _lines([(part, "reference")], "value")
        yield f"Input {part.name}{part.where}", drawn


def output_figures(sample: WorstSample) -> Iterator[tuple[str, str]]:
    """Both sides, and their difference."""
    sides = [sample.reference, sample.candidate]
    if sample.reference.size:
        yield "Reference, candidate, |difference|", _images([*sides, sample.difference])
        return
    yield (
        f"Both sides{sample.reference.where}",
        _lines(list(zip(sides, ("reference", "candidate"), strict=True)), "value"),
    )
    yield f"|difference|{sample.difference.where}", _lines([(sample.difference, "error")], DIFFERENCE)


def _images(parts: Sequence[Excerpt]) -> str:
    drawn = []
    for part in parts:
        rows, columns, channels = part.size
        address = png_address(rows, columns, channels, part.pixels)
        size = " x ".join(map(str, part.shape))
        words = f"{part.name}, {size}: black {_number(part.low)}, white {_number(part.high)}"
        drawn.append(f'<div><img src="{address}" alt="{escape(words)}" width="{columns}" height="{rows}">'
                     f'{escape(part.name)}<br><span class="muted">black {_number(part.low)}, '
                     f"white {_number(part.high)}</span></div>")  # fmt: skip
    return f'<div class="images">{"".join(drawn)}</div>'


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


def _lines(parts: Sequence[tuple[Excerpt, str]], unit: str) -> str:
    first = _start(parts[0][0].where)
    count = max(len(part.values) for part, _ in parts)
    known = [value for part, _ in parts for value in part.values if value is not None]
    low, high = 0.0 if unit == DIFFERENCE else min(known, default=0.0), max(known, default=0.0)
    margin = 0.0 if high > low else abs(low) / 10 or 1.0
    x = Axis(first - 0.5, first + max(count, 2) - 0.5, LEFT, RIGHT, most=12, whole=True)
    y = Axis(*around(known, at_least=(low - margin, high + margin)), HEIGHT - 42, TOP, most=4)
    drawn = [*side(y, LEFT, RIGHT, unit), *bottom(x, HEIGHT - 42, HEIGHT - 42, "index")]
    for part, kind in parts:
        points = [None if v is None else (x.at(first + i), y.at(v)) for i, v in enumerate(part.values)]
        drawn.append(path(points, f"line {kind}"))
        if count <= DOTS:
            drawn += [dot(*point, 3, f"dot {kind}", f"{part.name}: {v:.6g}") for point, v in
                      zip(points, part.values, strict=True) if point and v is not None]  # fmt: skip
    return svg(WIDTH, HEIGHT, f"{', '.join(part.name for part, _ in parts)} by index", drawn)


def _start(where: str) -> int:
    """The index of the first number, of ``[3, 64:320]`` 64."""
    found = re.search(r"(\d+):", where)
    return int(found[1]) if found else 0
