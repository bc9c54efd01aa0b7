"""``kerasbn finetune``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kerasbn_export.cli.options import COUNT, SEED
from kerasbn_export.cli.output import json_text, progress, stdout, table


@click.command("finetune")
@click.argument("model")
@click.option(
    "--data",
    required=True,
    metavar="X.npy|X.npz",
    help="Samples, prepared as for training; 'data-free' makes them from the BatchNorms.",
)
@click.option("-o", "--out", required=True, help="The .tflite file to write.")
@click.option("--labels", metavar="Y.npy", help="Their labels: classes, or values of the output's shape.")
@click.option("--distill", is_flag=True, help="The float model is the teacher; without --labels it always is.")
@click.option("--epochs", type=COUNT, default=3, show_default=True, help="How often the samples are seen.")
@click.option("--batch-size", type=COUNT, default=32, show_default=True, help="Samples at a time.")
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=3e-4, show_default=True,
              help="The first step as a part of each weight's size; it falls to 0.")  # fmt: skip
@click.option("--bn", type=click.Choice(("frozen", "live")), default="frozen", show_default=True,
              help="Train the folded weights, or keep BatchNorms alive.")  # fmt: skip
@click.option("--ranges", type=click.Choice(("ema", "learned")), default="learned", show_default=True,
              help="Ranges follow the batches, or are trained.")  # fmt: skip
@click.option("--weights", type=click.Choice(("per-channel", "per-tensor")), default="per-channel", show_default=True,
              help="One scale for each output channel, or for the whole kernel.")  # fmt: skip
@click.option("--keep-float", multiple=True, metavar="NAME", help="A layer, pattern or class that stays in float.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of samples that are made.")
@click.option("--force", is_flag=True, help="Write the file even if it is worse on samples kept out.")
@click.option("--json", "json_path", metavar="OUT.json", help="Write the result as JSON, too.")
@click.option("--allow-code", is_flag=True, help="Run code that the model file carries: only for files you trust.")
def command(
    model: str, data: str, out: str, labels: str | None, json_path: str | None, allow_code: bool, **options: Any
) -> None:
    """Train a model for its int8 file, with labels or with the float model as the teacher.

    A file that would be worse on samples kept out than the one without training is not written, and the exit code is 1.
    """
    with progress() as step:
        step(f"load {model}")
        from kerasbn_export.files.atomic import write_bytes
        from kerasbn_export.files.paths import JSON, TFLITE, Output, check_paths
        from kerasbn_export.finetune.finetune import finetune
        from kerasbn_export.loading.load import load_model
        from kerasbn_export.statistics.samples import read_labels

        outputs = [Output("-o", out, TFLITE), Output("--json", json_path, JSON)]
        check_paths({"MODEL": model, "--data": data, "--labels": labels}, outputs)
        given = None if labels is None else read_labels(labels)
        loaded = load_model(model, allow_code=allow_code)
        done = finetune(loaded, data, out, labels=given, on_step=step, **options)
        if json_path:
            write_bytes(Path(json_path), json_text(done.to_json()).encode())
    console = stdout()
    console.print(table("", *done.table()))
    for line in done.summary():
        console.print(line, soft_wrap=True, markup=False)
