"""A page that opens without a network: the verdict, the layers, the weights, and pictures of every output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from kerasbn_export.verification.records.comparison import Comparison
from kerasbn_export.verification.records.layers import WeightComparison
from kerasbn_export.verification.records.outputs import Match, OutputComparison
from kerasbn_export.verification.report.layer_chart import answer, layer_chart
from kerasbn_export.verification.report.output_charts import channel_chart, error_chart, value_chart, weight_chart
from kerasbn_export.verification.report.sample_charts import input_figures, output_figures
from kerasbn_export.verification.report.style import STYLE
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


def to_html(comparison: Comparison) -> str:
    """The comparison as one HTML page with nothing outside of it."""
    status = comparison.status.value
    parts = [
        *_summary(comparison),
        *_outputs(comparison),
        *_layers(comparison),
        *_weights(comparison),
        *_pictures(comparison),
        *_conditions(comparison),
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>kerasbn verify: {status}</title><style>{STYLE}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body><main>\n' + "\n".join(parts) + _END


_END = "\n</main></body></html>\n"


def _summary(comparison: Comparison) -> Iterator[str]:
    status = comparison.status.value
    yield f'<p><span class="answer {status}">{status}</span> <span class="muted">kerasbn verify</span></p>'
    yield f"<h1>{escape(comparison.candidate)} against {escape(comparison.reference)}</h1>"
    yield f'<div class="verdict {status}"><p>{escape(comparison.verdict)}</p></div>'
    yield "".join(f"<p>Note: {escape(note)}</p>" for note in comparison.notes)
    tiles = (
        ("Tolerance that would pass", f"{comparison.required_tolerance:.3g}"),
        ("Gate", str(comparison.outputs[0].gate) if comparison.outputs else ""),
        ("Precision", comparison.precision),
        ("Samples", str(comparison.samples)),
        ("Layers compared", str(len(comparison.per_layer)) if comparison.per_layer else "none"),
    )
    yield "<dl>" + "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in tiles) + "</dl>"


def _outputs(comparison: Comparison) -> Iterator[str]:
    yield "<h2>Outputs</h2>"
    rows = [
        (
            output.title,
            _status(output.status.value),
            f"{output.measurement.relative:.3g}",
            f"{output.measurement.sqnr_db:.1f}",
            "" if output.measurement.agreement is None else f"{output.measurement.agreement:.1%}",
            str(output.measurement.worst_sample),
            output.reason,
        )
        for output in comparison.outputs
    ]
    yield _table(("output", "status", "max|d|/max|r|", "SQNR dB", "agreement", "worst sample", "why"), rows)


def _layers(comparison: Comparison) -> Iterator[str]:
    if not comparison.per_layer:
        return
    yield "<h2>Error by layer</h2>"
    yield "<p>The candidate's tensors on the worst sample against the reference in float64, from the input down.</p>"
    if any(layer.moved for layer in comparison.per_layer):
        yield "<p>Moved: other numbers on purpose, which a later layer takes back.</p>"
    tolerance = comparison.outputs[0].gate.tolerance if comparison.outputs else None
    marks = LAYER_MARKS if tolerance is not None else LAYER_MARKS[:2]
    yield _figure(_legend(marks), layer_chart(comparison.per_layer, tolerance))
    rows = [
        (
            layer.layer,
            _status(answer(layer)),
            f"{layer.local_error:.3g}",
            f"{layer.cumulative_error:.3g}",
            "" if layer.rounding is None else times(layer.rounding),
            ", ".join(layer.merged),
            layer.tensor,
        )
        for layer in comparison.per_layer
    ]
    titles = ("layer", "", "local error", "error so far", "rounding", "merged with", "tensor")
    yield _folded("The numbers", _table(titles, rows))


def _weights(comparison: Comparison) -> Iterator[str]:
    if not comparison.weights:
        return
    wrong = [weight for weight in comparison.weights if not weight.passed]
    yield "<h2>Weights against the float64 algebra</h2>"
    yield f"<p>{len(comparison.weights)} kernels and biases compared, {len(wrong)} wrong.</p>"
    drawn = [_weight_figure(weight) for weight in wrong if weight.expected]
    if drawn:
        yield f'<div class="pair">{"".join(drawn[:DRAWN_WEIGHTS])}</div>'
    rows = [
        (
            w.layer,
            w.batchnorm,
            w.weight,
            _status("right" if w.passed else "wrong"),
            f"{w.max_difference:.3g}",
            f"{w.max_expected:.3g}",
            w.diagnosis,
        )
        for w in comparison.weights
    ]
    titles = ("layer", "BatchNorm folded in", "weight", "", "max|difference|", "max|expected|", "as if")
    yield _folded("The numbers", _table(titles, rows))


def _weight_figure(weight: WeightComparison) -> str:
    caption = f"{escape(weight.layer)}: {weight.weight} <span class='muted'>{escape(weight.diagnosis)}</span>"
    return _figure(caption, weight_chart(weight.expected, weight.found, weight.weight))


def _pictures(comparison: Comparison) -> Iterator[str]:
    for number, output in enumerate(comparison.outputs):
        if output.picture is not None:
            content = "".join(_picture(output))
            yield f"<h2>{escape(output.title)}</h2>"
            yield content if number == 0 or not output else _folded("The pictures", content)


def _picture(output: OutputComparison) -> Iterator[str]:
    picture, tolerance = output.picture, output.gate.tolerance
    if picture is None:
        return
    yield f"<p>Over {picture.samples} samples, those that ran together with the worst one.</p>"
    exact = f"<span class='muted'>{picture.errors.exact} elements are exactly equal</span>"
    spread = _figure(f"Values {_legend(BOTH)}", value_chart(picture.values))
    errors = _figure(f"Errors {exact}", error_chart(picture.errors, tolerance))
    yield f'<div class="pair">{spread}{errors}</div>'
    shown, count = len(picture.channels.index), picture.channels.count
    some = f"<span class='muted'>the {shown} worst of {count}</span>" if shown < count else ""
    yield _figure(f"Channels {some}", channel_chart(picture.channels, tolerance))
    yield f"<h3>Worst sample: number {picture.worst.index}</h3>"
    for title, drawn in (*input_figures(picture.worst), *output_figures(picture.worst)):
        legend = _legend(BOTH) if title.startswith("Both sides") else ""
        yield _figure(f"{escape(title)} {legend}", drawn)


def _conditions(comparison: Comparison) -> Iterator[str]:
    yield "<h2>How it was compared</h2>"
    scales = sorted({o.input_scale for o in comparison.outputs if o.input_scale is not None})
    drawn = f"drawn with seed {comparison.seed}" if comparison.seed is not None else "given"
    worst = f"; the worst were found at a standard deviation of {', '.join(f'{s:g}' for s in scales)}" if scales else ""
    yield f"<p>The inputs were {drawn}{worst}.</p>"
    rows = [_match("input", match) for match in comparison.inputs]
    rows += [_match("output", match) for match in comparison.matches]
    yield _table(("", "reference", "candidate", "matched by"), rows)


def _match(what: str, match: Match) -> tuple[str, ...]:
    return what, match.reference, match.candidate, match.by


def _status(word: str) -> tuple[str, str]:
    """A word with its colour."""
    return word, {"right": "equal", "wrong": "differs"}.get(word, word)


def _figure(caption: str, content: str) -> str:
    return f'<figure><figcaption>{caption}</figcaption><div class="scroll">{content}</div></figure>'


def _folded(summary: str, content: str) -> str:
    return f"<details><summary>{summary}</summary>{content}</details>"


def _legend(entries: Iterable[tuple[str, str]]) -> str:
    marks = [f'<svg viewBox="0 0 22 12" aria-hidden="true">{mark}</svg> {escape(name)}' for name, mark in entries]
    return f'<span class="legend">{"".join(f"<span>{mark}</span>" for mark in marks)}</span>'


def _table(titles: Sequence[str], rows: Iterable[Sequence[str | tuple[str, str]]]) -> str:
    kinds = ["number" if title in NUMBERS else "" for title in titles]
    head = "".join(f'<th class="{kind}">{escape(title)}</th>' for kind, title in zip(kinds, titles, strict=True))
    body = "\n".join(f"<tr>{''.join(map(_cell, row, kinds))}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def _cell(content: str | tuple[str, str], kind: str) -> str:
    if isinstance(content, tuple):
        return f'<td class="{content[1]}">{escape(content[0])}</td>'
    return f'<td class="{kind}">{escape(content)}</td>'
