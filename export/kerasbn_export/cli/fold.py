"""``kerasbn fold``."""

from __future__ import annotations

from typing import Any

import click

from kerasbn_export.cli.options import TARGET_HELP, TARGETS, VERBOSE_HELP
from kerasbn_export.cli.output import print_verdicts, progress, stdout
from kerasbn_export.precision import PRECISIONS


@click.command("fold")
@click.argument("model")
@click.option("-o", "--out", required=True, help="The .keras, .h5 or .hdf5 file to write.")
@click.option("--strict", is_flag=True, help="Exit 1 and write nothing if a BatchNorm is left.")
@click.option("--target", type=click.Choice(TARGETS), default="latency", show_default=True, help=TARGET_HELP)
@click.option(
    "--precision",
    type=click.Choice(tuple(PRECISIONS)),
    default="float32",
    show_default=True,
    help="What you will convert it to: where a scale goes matters for weights in int8.",
)
@click.option("--keep-branches", is_flag=True, help="Do not merge parallel branches: one kernel is coarser in int8.")
@click.option("--verbose", is_flag=True, help=VERBOSE_HELP)
@click.option("--allow-code", is_flag=True, help="Run code that the model file carries: only for files you trust.")
def command(model: str, out: str, keep_branches: bool, verbose: bool, allow_code: bool, **options: Any) -> None:
    """Write the model again without its BatchNorms."""
    with progress() as step:
        step(f"load {model}")
        from kerasbn_export.files.atomic import save_model
        from kerasbn_export.files.paths import KERAS_MODEL, Output, check_paths
        from kerasbn_export.folding.fold import fold
        from kerasbn_export.folding.verdict import count_of
        from kerasbn_export.loading.load import load_model

        check_paths({"MODEL": model}, [Output("-o", out, KERAS_MODEL)])
        loaded = load_model(model, allow_code=allow_code)
        step("fold")
        folded = fold(loaded, merge_branches=not keep_branches, **options)
        step(f"write {out}")
        save_model(folded.model, out)
    print_verdicts(folded.verdicts, verbose=verbose)
    stdout().print(f"{out}: {count_of(folded.verdicts)}", soft_wrap=True, markup=False)
