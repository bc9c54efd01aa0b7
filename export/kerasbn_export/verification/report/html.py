"""A page that opens without a network: the verdict, the outputs, the error by layer, the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from kerasbn_export.verification.records import Comparison, LayerComparison

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #1d2430; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.verdict { padding: .8rem 1rem; border-left: .4rem solid; background: #f4f6f8; }
.equal { border-color: #2a7d4f; } .differs { border-color: #b3352b; } .unproven { border-color: #9a7400; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .6rem; vertical-align: top; }
th { border-bottom: 2px solid #c9d1da; } td { border-bottom: 1px solid #e4e8ec; overflow-wrap: anywhere; }
svg text { font: 11px system-ui, sans-serif; fill: #1d2430; }
.scroll { overflow-x: auto; }
"""

BAR, LABEL, WIDTH = 16, 190, 620
FLOOR = 1e-9


def to_html(comparison: Comparison) -> str:
    """The comparison as one HTML page with nothing outside of it."""
    status = comparison.status.value
    parts = [
        f"<h1>{escape(comparison.reference)} against {escape(comparison.candidate)}</h1>",
        f'<p class="verdict {status}">{escape(comparison.verdict)}</p>',
        f"<p>Precision {escape(comparison.precision)}, {comparison.samples} samples, "
        f"smallest tolerance that would have passed {comparison.required_tolerance:.3g}.</p>",
        *(f"<p>Note: {escape(note)}</p>" for note in comparison.notes),
        "<h2>Outputs</h2>",
        _outputs(comparison),
    ]
    if comparison.per_layer:
        parts += ["<h2>Error by layer</h2>", _picture(comparison.per_layer)]
    if comparison.weights:
        parts += ["<h2>Weights against the float64 algebra</h2>", _weights(comparison)]
    head = f'<meta charset="utf-8"><title>kerasbn verify: {status}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _outputs(comparison: Comparison) -> str:
    rows = [
        (
            output.title,
            output.candidate_name,
            output.status.value,
            f"{output.measurement.relative:.3g}",
            f"{output.measurement.sqnr_db:.1f}",
            "" if output.measurement.agreement is None else f"{output.measurement.agreement:.1%}",
            str(output.measurement.worst_sample),
            output.reason,
        )
        for output in comparison.outputs
    ]
    titles = ("output", "in the candidate", "status", "max|d|/max|r|", "SQNR dB", "agreement", "worst sample", "why")
    return _table(titles, rows)


def _weights(comparison: Comparison) -> str:
    rows = [
        (
            w.layer,
            w.batchnorm,
            w.weight,
            f"{w.max_difference:.3g}",
            f"{w.max_expected:.3g}",
            _answer(w.passed),
            w.diagnosis,
        )
        for w in comparison.weights
    ]
    titles = ("layer", "BatchNorm folded in", "weight", "max|difference|", "max|expected|", "", "as if")
    return _table(titles, rows)


def _answer(passed: bool) -> str:
    return "right" if passed else "wrong"


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def _picture(layers: Sequence[LayerComparison]) -> str:
    """Two bars per layer on a logarithmic scale: the error made there, and all errors up to there."""
    height = BAR * len(layers) + 40
    bars = [line for i, layer in enumerate(layers) for line in _bars(layer, i * BAR + 24)]
    ticks = [
        f'<line x1="{x:.0f}" y1="18" x2="{x:.0f}" y2="{height - 14}" stroke="#e4e8ec"/>'
        f'<text x="{x:.0f}" y="12" text-anchor="middle">1e{power}</text>'
        for power in range(-9, 1, 3)
        for x in [_x(10.0**power)]
    ]
    key = "Dark: error made in the layer. Light: all errors up to it. Violet: a scale moved across it. Red: wrong."
    drawn = "\n".join([*ticks, *bars])
    view = f'viewBox="0 0 {LABEL + WIDTH + 40} {height}" role="img" aria-label="Error by layer"'
    return f'<p>{key}</p><div class="scroll"><svg {view} width="100%">\n{drawn}\n</svg></div>'


def _bars(layer: LayerComparison, y: int) -> list[str]:
    colour = "#2f6db3" if layer.passed else "#7a6bb0" if layer.moved else "#b3352b"
    tip = f"{layer.layer}: local {layer.local_error:.3g}, cumulative {layer.cumulative_error:.3g}, {layer.tensor}"
    return [
        f"<g><title>{escape(tip)}</title>",
        f'<text x="{LABEL - 6}" y="{y + 10}" text-anchor="end">{escape(layer.layer[-30:])}</text>',
        f'<rect x="{LABEL}" y="{y}" width="{_x(layer.cumulative_error) - LABEL:.1f}" height="12" fill="{colour}" '
        'fill-opacity=".3"/>',
        f'<rect x="{LABEL}" y="{y + 3}" width="{_x(layer.local_error) - LABEL:.1f}" height="6" fill="{colour}"/></g>',
    ]


def _x(error: float) -> float:
    """From FLOOR to 1 on a logarithmic scale."""
    inside = min(max(error if math.isfinite(error) else 1.0, FLOOR), 1.0)
    return LABEL + WIDTH * (1 - math.log10(inside) / math.log10(FLOOR))
