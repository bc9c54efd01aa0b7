"""``kerasbn recalibrate``."""

from __future__ import annotations

from typing import Any

import click

from kerasbn_export.cli.options import BATCH_SIZE, COUNT
from kerasbn_export.cli.output import progress, stdout, table

MODES = ("population", "batch")
"""As `kerasbn.statistics.renewal` has them, which is not imported for the sake of ``--help``."""


@click.command("recalibrate")
@click.argument("model")
@click.option("--data", required=True, metavar="X.npy|X.npz", help="Samples, prepared as for training.")
@click.option("-o", "--out", required=True, help="The .keras, .h5 or .hdf5 file to write.")
@click.option("--labels", metavar="Y.npy", help="Their labels: what the model is judged by.")
@click.option("--mode", type=click.Choice(MODES), default="population", show_default=True,
              help="Statistics of all samples at once, or the mean of those of batches.")  # fmt: skip
@click.option("--batch-size", type=COUNT, default=64, show_default=True, help="Samples that normalize each other.")
@click.option(
    "--prior", type=BATCH_SIZE, default=0, show_default=True, help="Samples that the old statistics count for."
)
@click.option("--exact", is_flag=True, help="Go on depth by depth: what each BatchNorm sees at inference.")
@click.option("--force", is_flag=True, help="Write the model even if it is worse on samples kept out.")
@click.option("--allow-code", is_flag=True, help="Run code that the model file carries: only for files you trust.")
def command(model: str, data: str, out: str, labels: str | None, allow_code: bool, **options: Any) -> None:
    """Write the model again with the statistics of data in its BatchNorms.

    A model that would be worse on samples kept out is not written, and the exit code is 1.
    """
    with progress() as step:
        step(f"load {model}")
        from kerasbn.statistics.renewal import recalibrate
        from kerasbn_export.files.atomic import check_model_destination, save_model
        from kerasbn_export.files.paths import KERAS_MODEL, Output, check_paths
        from kerasbn_export.loading.load import load_model
        from kerasbn_export.statistics.samples import read_samples

        check_paths({"MODEL": model, "--data": data, "--labels": labels}, [Output("-o", out, KERAS_MODEL)])
        check_model_destination(out)
        loaded = load_model(model, allow_code=allow_code)
        samples = read_samples(loaded, data, labels=labels)
        step("recalibrate")
        record = recalibrate(loaded, samples, **options)
        step(f"write {out}")
        save_model(loaded, out)
    console = stdout()
    console.print(table("", *record.table()))
    for line in (*record.summary(), f"{out}: written."):
        console.print(line, soft_wrap=True, markup=False)
