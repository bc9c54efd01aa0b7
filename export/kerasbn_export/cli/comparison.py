"""What ``verify`` and ``recheck`` share: the options for files, and how a comparison is written and printed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from kerasbn_export.cli.options import Finite
from kerasbn_export.cli.output import json_text, stdout, table, write_reports

if TYPE_CHECKING:
    from rich.table import Table

    from kerasbn_export.verification.records.comparison import Comparison
    from kerasbn_export.verification.records.outputs import Match

SHOWN = 8
"""Rows of a table of what is wrong; the files have them all."""

Command = Callable[..., int]

JUDGING = (
    click.option("--tolerance", type=Finite(), help="Largest accepted max|difference| / max|reference|."),
    click.option("--min-sqnr", type=Finite(), help="Smallest accepted signal to noise in dB, for quantized files."),
)
FILES = (
    click.option("--json", "json_path", metavar="OUT.json", help="Write the result as JSON; - for standard output."),
    click.option("--junit", "junit_path", metavar="OUT.xml", help="Write the result as JUnit XML, for a build server."),
    click.option("--html", "html_path", metavar="OUT.html", help="Write a page with pictures that needs no network."),
)


def report_options(command: Command) -> Command:
    """The options of everything that ends in a comparison."""
    for option in reversed((*JUDGING, *FILES)):
        command = option(command)
    return command


def check_reports(paths: Sequence[str | None], sources: Mapping[str, str | None]) -> None:
    """Raises `OutputError` if a report cannot be written or would cost a file, before anything is run.

    Args:
        paths: Of the reports as JSON, as JUnit XML and as HTML; ``-`` is standard output.
        sources: What is read, by the names of the arguments.
    """
    from kerasbn_export.files.paths import HTML, JSON, JUNIT, Output, check_paths

    kinds = {"--json": JSON, "--junit": JUNIT, "--html": HTML}
    check_paths(sources, [Output(name, path, kind) for (name, kind), path in zip(kinds.items(), paths, strict=True)])


def report(comparison: Comparison, json_path: str | None, junit_path: str | None, html_path: str | None) -> int:
    """Writes the files asked for, prints the tables unless a report goes there, and gives the exit code."""
    from kerasbn_export.verification.report import to_html, to_junit

    made: dict[str, str] = {}
    if json_path is not None:
        made[json_path] = json_text(comparison.to_json())
    if junit_path is not None:
        made[junit_path] = to_junit(comparison)
    if html_path is not None:
        made[html_path] = to_html(comparison)
    if not write_reports(made):
        _print(comparison)
    return comparison.exit_code


def _print(comparison: Comparison) -> None:
    console = stdout()
    metric = [] if comparison.metric is None else [table("", *comparison.metric.table())]
    for part in (table("", *comparison.table()), *metric, *_wrong_layers(comparison), *_wrong_weights(comparison)):
        console.print(part)
    for line in (*_lines(comparison), *comparison.answer):
        console.print(line, soft_wrap=True, markup=False)


def _wrong_layers(comparison: Comparison) -> Iterator[Table]:
    """The layers that err on their own account; none where the two are equal."""
    from kerasbn_export.verification.report.text import times

    wrong = [layer for layer in comparison.per_layer if not layer.passed and not layer.moved]
    if comparison.first_divergence and wrong:
        columns = ("wrong layer", "merged with", "local error>", "error so far>", "rounding>", "tensor")
        rows = [
            (
                layer.layer,
                ", ".join(layer.merged),
                f"{layer.local_error:.3g}",
                f"{layer.cumulative_error:.3g}",
                "" if layer.rounding is None else times(layer.rounding),
                layer.tensor,
            )
            for layer in wrong[:SHOWN]
        ]
        yield table("", columns, rows)


def _wrong_weights(comparison: Comparison) -> Iterator[Table]:
    wrong = [weight for weight in comparison.weights if not weight.passed]
    if wrong:
        columns = ("wrong weight", "of", "max|difference|>", "as if")
        rows = [(w.weight, w.layer, f"{w.max_difference:.3g}", w.diagnosis) for w in wrong[:SHOWN]]
        yield table("", columns, rows)


def _lines(comparison: Comparison) -> Iterator[str]:
    yield f"Reference: {comparison.reference}"
    yield f"Candidate: {comparison.candidate}"
    yield f"Inputs: {_matches(comparison.inputs)}. Outputs: {_matches(comparison.matches)}."
    compared, there = comparison.coverage
    if there:
        yield f"Compared: {compared} layers with the {there} tensors that depend on the input."
    yield f"Smallest tolerance that would have passed: {comparison.required_tolerance:.3g}."
    for note in comparison.notes:
        yield f"Note: {note}"


def _matches(matches: Sequence[Match]) -> str:
    return ", ".join(f"{match.reference} = {match.candidate} (by {match.by})" for match in matches)
