"""``kerasbn inspect``."""

from __future__ import annotations

from typing import Any

import click

from kerasbn_export.cli.inspect_tflite import inspect_tflite, is_tflite
from kerasbn_export.cli.output import print_json, print_verdicts, progress, stdout, table

SCHEMA_VERSION = 1


@click.command("inspect")
@click.argument("model")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.option("--allow-code", is_flag=True, help="Run code that the model file carries: only for files you trust.")
def command(model: str, as_json: bool, allow_code: bool) -> None:
    """Every BatchNorm: where it is, its statistics, and what folding does with it.

    MODEL may be a .tflite file as well: its operations, and what became of the BatchNorms when kerasbn made it.
    """
    if is_tflite(model):
        inspect_tflite(model, as_json=as_json)
        return
    with progress() as step:
        step(f"load {model}")
        from kerasbn.flavour import flavour_of
        from kerasbn_export.folding.fold import plan
        from kerasbn_export.folding.inspection import inspect_model
        from kerasbn_export.folding.verdict import count_of
        from kerasbn_export.loading.load import load_model

        loaded = load_model(model, allow_code=allow_code)
        step("inspect")
        summaries = inspect_model(loaded)
        verdicts = plan(loaded).verdicts
        flavour = flavour_of(loaded).name
    if as_json:
        print_json(
            {
                "schema_version": SCHEMA_VERSION,
                "model": model,
                "keras": flavour,
                "batchnorms": [summary.to_json() for summary in summaries],
                "verdicts": [verdict.to_json() for verdict in verdicts],
            }
        )
        return
    console = stdout()
    if verdicts:
        console.print(_statistics(summaries))
        print_verdicts(verdicts, verbose=True)
    console.print(f"{flavour}: {count_of(verdicts)}")


def _statistics(summaries: Any) -> Any:
    columns = ("BatchNorm", "input", "axis>", "channels>", "gamma>", "<0>", "=0>", "variance>", "max |mean|/sigma>")
    rows = [
        (
            summary.layer,
            "x".join("?" if size is None else str(size) for size in summary.input_shape or ()),
            ",".join(map(str, summary.axis)),
            summary.channels,
            f"{summary.gamma_min:.3g} .. {summary.gamma_max:.3g}",
            summary.negative_gammas,
            summary.zero_gammas,
            f"{summary.variance_min:.3g} .. {summary.variance_max:.3g}",
            f"{summary.mean_over_sigma_max:.3g}",
        )
        for summary in summaries
    ]
    return table("", columns, rows)
