"""The findings of `kerasbn.check` as a page that opens without a network, with the worst BatchNorms drawn."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kerasbn.statistics.health import Health
from kerasbn.statistics.records import Statistics
from kerasbn_export.verification.report.pages import environment
from kerasbn_export.verification.report.svg import Axis, around, bar, bottom, side, svg

DRAWN = 6
"""BatchNorms that are drawn; the table has all findings."""
BINS = 32
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BASE = 920, 190, 72, 904, 20, 150


def to_html(health: Health, model: str) -> str:
    """The findings as one page with nothing outside of it."""
    columns, rows = health.table()
    titles = [column.removesuffix(">") for column in columns]
    page = environment("kerasbn_export.statistics").get_template("health.html")
    return page.render(health=health, model=model, columns=titles, rows=list(rows), pictures=_pictures(health)) + "\n"


def _pictures(health: Health) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Of the worst BatchNorms how far the stored statistics of their channels are from those of the data."""
    named = [finding.layer for finding in health.findings if finding.layer in health.measured]
    for path in list(dict.fromkeys(named))[:DRAWN]:
        captions = ("Mean, stored less measured, in sigma of the data", "Variance, stored / measured, as powers of 2")
        values = _distances(health.stored[path], health.measured[path])
        yield path, [(caption, _histogram(caption, each)) for caption, each in zip(captions, values, strict=True)]


def _distances(stored: Statistics, measured: Statistics) -> tuple[list[float], list[float]]:
    with np.errstate(all="ignore"):
        shift = (stored.mean - measured.mean) / np.sqrt(measured.variance)
        ratio = np.log2(stored.variance / measured.variance)
    return [float(each) for each in shift.ravel()], [float(each) for each in ratio.ravel()]


def _histogram(label: str, values: list[float]) -> str:
    finite = [value for value in values if np.isfinite(value)] or [0.0]
    low, high = around([*finite, 0.0], at_least=(-1.0, 1.0))
    counts, edges = np.histogram(finite, bins=BINS, range=(low, high))
    x = Axis(low, high, LEFT + 10, RIGHT)
    y = Axis(0, float(max(counts.max(), 1)), BASE, TOP, most=4)
    parts = [*side(y, LEFT, RIGHT, "channels"), *bottom(x, BASE, BASE, "")]
    for count, begin, end in zip(counts, edges, edges[1:], strict=False):
        top, tip = y.at(float(count)), f"{count} channels from {begin:.3g} to {end:.3g}"
        parts.append(bar(x.at(float(begin)), top, x.at(float(end)) - x.at(float(begin)) - 1, BASE - top, "bar", tip))
    return svg(WIDTH, HEIGHT, label, parts)
