"""A page that opens without a network: the answer, the layers, the weights, and pictures of every output.

``templates/page.html`` is the page. Everything that it shows is escaped by Jinja, but for the drawings, which are made
here and escape what they hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from kerasbn_export.verification.records.comparison import Comparison
from kerasbn_export.verification.records.pictures import WorstSample
from kerasbn_export.verification.report.layer_chart import answer, layer_chart
from kerasbn_export.verification.report.output_charts import channel_chart, error_chart, value_chart, weight_chart
from kerasbn_export.verification.report.pages import environment
from kerasbn_export.verification.report.sample_charts import input_figures, output_figures
from kerasbn_export.verification.report.text import times

DRAWN_WEIGHTS = 6
"""Wrong weights that are drawn; the table has all."""
NUMBERS = ("max|d|/max|r|", "SQNR dB", "agreement", "worst sample", "local error", "error so far", "rounding",
           "max|difference|", "max|expected|")  # fmt: skip
"""Columns aligned to the right."""
BOTH = (
    ("reference", '<path d="M1 6L21 6" class="line reference"/>'),
    ("candidate", '<path d="M1 6L21 6" class="line candidate"/>'),
)
LAYER_MARKS = (
    (
        "made in the layer, given the candidate's own inputs (none: exact)",
        '<circle cx="11" cy="6" r="4.5" class="dot"/>',
    ),
    ("accumulated up to it", '<circle cx="11" cy="6" r="5" class="ring"/>'),
    ("gate of the outputs", '<path d="M1 6L21 6" class="gate"/>'),
)
"""What the marks of the pictures mean."""


class Word(str):
    """An answer in a table, which has a colour."""

    @property
    def kind(self) -> str:
        """The class that gives the colour."""
        return {"right": "equal", "wrong": "differs"}.get(self, self)


def to_html(comparison: Comparison) -> str:
    """The comparison as one HTML page with nothing outside of it."""
    page = environment()
    page.tests["word"] = lambda cell: isinstance(cell, Word)
    page.globals |= {
        "numbers": NUMBERS,
        "sides": BOTH,
        "sample_figures": _sample_figures,
        "value_chart": value_chart,
        "error_chart": error_chart,
        "channel_chart": channel_chart,
        "weight_chart": weight_chart,
    }
    return page.get_template("page.html").render(comparison=comparison, **_contents(comparison)) + "\n"


def _contents(comparison: Comparison) -> dict[str, Any]:
    tolerance = comparison.outputs[0].gate.tolerance if comparison.outputs else None
    wrong = [weight for weight in comparison.weights if not weight.passed]
    return {
        "status": comparison.status.value,
        "tiles": list(_tiles(comparison)),
        "output_rows": list(_output_rows(comparison)),
        "moved": any(layer.moved for layer in comparison.per_layer),
        "layer_marks": LAYER_MARKS if tolerance is not None else LAYER_MARKS[:2],
        "layer_chart": layer_chart(comparison.per_layer, tolerance) if comparison.per_layer else "",
        "layer_rows": list(_layer_rows(comparison)),
        "wrong_weights": wrong,
        "drawn_weights": [weight for weight in wrong if weight.expected][:DRAWN_WEIGHTS],
        "weight_rows": list(_weight_rows(comparison)),
        "inputs": _inputs(comparison),
        "match_rows": list(_match_rows(comparison)),
    }


def _tiles(comparison: Comparison) -> Iterator[tuple[str, str]]:
    yield "Tolerance that would pass", f"{comparison.required_tolerance:.3g}"
    yield "Gate", str(comparison.outputs[0].gate) if comparison.outputs else ""
    yield "Precision", comparison.precision
    yield "Samples", str(comparison.samples)
    yield "Layers compared", str(len(comparison.per_layer)) if comparison.per_layer else "none"


def _output_rows(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    for output in comparison.outputs:
        found = output.measurement
        yield (
            output.title,
            Word(output.status.value),
            f"{found.relative:.3g}",
            f"{found.sqnr_db:.1f}",
            "" if found.agreement is None else f"{found.agreement:.1%}",
            str(found.worst_sample),
            output.reason,
        )


def _layer_rows(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    for layer in comparison.per_layer:
        yield (
            layer.layer,
            Word(answer(layer)),
            f"{layer.local_error:.3g}",
            f"{layer.cumulative_error:.3g}",
            "" if layer.rounding is None else times(layer.rounding),
            ", ".join(layer.merged),
            layer.tensor,
        )


def _weight_rows(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    for weight in comparison.weights:
        yield (
            weight.layer,
            weight.batchnorm,
            weight.weight,
            Word("right" if weight.passed else "wrong"),
            f"{weight.max_difference:.3g}",
            f"{weight.max_expected:.3g}",
            weight.diagnosis,
        )


def _inputs(comparison: Comparison) -> str:
    scales = sorted({o.input_scale for o in comparison.outputs if o.input_scale is not None})
    drawn = f"drawn with seed {comparison.seed}" if comparison.seed is not None else "given"
    worst = f"; the worst were found at a standard deviation of {', '.join(f'{s:g}' for s in scales)}" if scales else ""
    return drawn + worst


def _match_rows(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    pairs = chain((("input", m) for m in comparison.inputs), (("output", m) for m in comparison.matches))
    for what, match in pairs:
        yield what, match.reference, match.candidate, match.by


def _sample_figures(worst: WorstSample) -> list[tuple[str, str]]:
    return [*input_figures(worst), *output_figures(worst)]
