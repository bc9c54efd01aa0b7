"""``kerasbn benchmark``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kerasbn_export.cli.options import COUNT, SEED
from kerasbn_export.cli.output import print_json, progress, stdout, table

BACKENDS = ("xnnpack", "builtin", "reference")
SCHEMA_VERSION = 1
COLUMNS = (
    "file",
    "precision",
    "ms>",
    "ratio>",
    "quartiles>",
    "bytes>",
    "operations>",
    "activations, bytes>",
    "resident, bytes>",
)


@click.command("benchmark")
@click.argument("files", nargs=-1, required=True, metavar="A.tflite [B.tflite ...]")
@click.option("--rounds", type=COUNT, default=60, show_default=True, help="How often they take turns.")
@click.option("--threads", type=COUNT, default=1, show_default=True)
@click.option("--backend", type=click.Choice(BACKENDS), default="xnnpack", show_default=True, help="LiteRT's kernels.")
@click.option("--delegate", metavar="LIBRARY", help="The shared library of a delegate, as for an accelerator.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the random inputs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(files: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Latency, size, operations and memory of .tflite files, side by side.

    They take turns, and who begins changes from round to round, so that a busy machine slows all alike: the ratio to
    the first file holds better than milliseconds. The quartiles of the ratio say how well. One thread is timed by its
    own clock, which stops while another process has the core.
    """
    with progress() as step:
        from kerasbn_export.benchmark.side_by_side import measure_files

        records = measure_files([Path(file) for file in files], step, **options)
    if as_json:
        print_json({"schema_version": SCHEMA_VERSION, **options, "files": [record.to_json() for record in records]})
        return
    console = stdout()
    console.print(table("", COLUMNS, [_cells(record) for record in records]))
    how = f"{options['rounds']} rounds, {options['threads']} thread(s), {options['delegate'] or options['backend']}"
    console.print(f"Ratio to the first file, median and quartiles over {how}.", soft_wrap=True)
    console.print("Activations are counted from the graph, resident memory is what one run adds to a new process.")


def _cells(record: Any) -> tuple[object, ...]:
    return (
        record.path,
        record.precision,
        f"{record.milliseconds:.3f}",
        f"{record.ratio:.3f}",
        "{:.3f} to {:.3f}".format(*record.quartiles),
        f"{record.bytes:,}",
        sum(record.ops.values()),
        f"{record.activation_bytes:,}",
        f"{record.resident_bytes:,}",
    )
