"""``kerasbn explain``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kerasbn_export.cli.output import json_text, progress, stdout, table, write_reports

if TYPE_CHECKING:
    from kerasbn_export.explanation.records import Explanation


@click.command("explain")
@click.argument("file")
@click.option("--reference", metavar="MODEL", help="The Keras model that FILE was made of.")
@click.option("--data", metavar="X.npy|X.npz", help="Real inputs, prepared as in training: at least 100 are best.")
@click.option("--no-measure", is_flag=True, help="Do not mend to see what that gives: seconds, not minutes.")
@click.option("--json", "json_path", metavar="OUT.json", help="Write the answer as JSON; - for standard output.")
@click.option("--html", "html_path", metavar="OUT.html", help="Write a page that needs no network.")
@click.option("--allow-code", is_flag=True, help="Run code that the model file carries: only for files you trust.")
def command(
    file: str,
    reference: str | None,
    data: str | None,
    no_measure: bool,
    json_path: str | None,
    html_path: str | None,
    allow_code: bool,
) -> int:
    """What is wrong with FILE.tflite and the command that mends it.

    Exit 0 if there is nothing to mend, 1 if there is, 2 if that cannot be told, 3 if it failed.
    """
    with progress() as step:
        from kerasbn_export.explanation.explain import explain
        from kerasbn_export.files.paths import HTML, JSON, Output, check_paths

        sources = {"FILE": file, "--reference": reference, "--data": data}
        check_paths(sources, [Output("--json", json_path, JSON), Output("--html", html_path, HTML)])
        found = explain(file, reference, data, measure=not no_measure, allow_code=allow_code, on_step=step)
        reports = _reports(found, json_path, html_path)
    if not write_reports(reports):
        _print(found)
    return found.exit_code


def _reports(found: Explanation, json_path: str | None, html_path: str | None) -> dict[str, str]:
    from kerasbn_export.explanation.page import to_html

    made = {} if json_path is None else {json_path: json_text(found.to_json())}
    return made if html_path is None else {**made, html_path: to_html(found)}


def _print(found: Explanation) -> None:
    console = stdout()
    for line in found.summary():
        console.print(line, soft_wrap=True, markup=False)
    if found.findings:
        console.print(table("", *found.table()))
    for note in found.notes:
        console.print(note, soft_wrap=True, markup=False)
