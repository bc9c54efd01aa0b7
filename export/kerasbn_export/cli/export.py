"""``kerasbn export``."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kerasbn_export.cli.options import TARGET_HELP, TARGETS
from kerasbn_export.cli.output import progress, refuse_overwriting, stdout, table, verdict_line, verdict_table

if TYPE_CHECKING:
    from kerasbn_export.calibration import Calibration
    from kerasbn_export.export import ExportResult
    from kerasbn_export.verification import Comparison

PRECISIONS = ("float32", "float16", "dynamic", "int8", "int16x8")
IO_DTYPES = ("float32", "int8", "uint8", "int16")
VERIFIED_SAMPLES = 32


@click.command("export")
@click.argument("model")
@click.option("-o", "--out", required=True, help="The .tflite file to write.")
@click.option("--precision", type=click.Choice(PRECISIONS), default="float32", show_default=True)
@click.option(
    "--calibration", metavar="X.npy|X.npz|FOLDER|random", help="Samples of the real inputs, for int8 and int16x8."
)
@click.option("--image-range", nargs=2, type=float, help="What 0 and 255 become, for a FOLDER of images.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of --calibration random.")
@click.option("--io-dtype", type=click.Choice(IO_DTYPES), help="The type of inputs and outputs, for int8 and int16x8.")
@click.option("--batch-size", type=click.IntRange(min=0), default=1, show_default=True, help="0 leaves it open.")
@click.option("--no-fold", is_flag=True, help="Leave the BatchNorms in, to compare.")
@click.option("--strict", is_flag=True, help="Exit 1 and write nothing if a BatchNorm is left.")
@click.option("--target", type=click.Choice(TARGETS), default="latency", show_default=True, help=TARGET_HELP)
@click.option("--keep-branches", is_flag=True, help="Do not merge parallel branches: one kernel is coarser in int8.")
@click.option("--no-verify", is_flag=True, help="Do not compare the file with the model.")
@click.option("--allow-code", is_flag=True, help="Run code that the model file carries: only for files you trust.")
def command(
    model: str, out: str, no_fold: bool, keep_branches: bool, no_verify: bool, allow_code: bool, **options: Any
) -> int:
    """Fold the model, write it as a .tflite file, and compare the two.

    A file that does not compute what the model computes does not get the name asked for: it is left beside it, with
    .rejected in its name, and the exit code is 1.
    """
    refuse_overwriting(model, out)
    options["batch_size"] = options["batch_size"] or None
    options["fold"] = not no_fold
    options["merge_branches"] = not keep_branches
    with progress() as step:
        step(f"load {model}")
        from kerasbn_export.atomic import check_destination, replacing
        from kerasbn_export.export import ExportOptions, build_tflite
        from kerasbn_export.load import load_model

        asked = ExportOptions(**options)
        check_destination(out)
        loaded = load_model(model, allow_code=allow_code)
        built = build_tflite(loaded, Path(out), asked, step)
        with replacing(out) as temporary:
            temporary.write_bytes(built.data)
            step("verify")
            comparison = None if no_verify else _verified(loaded, temporary, built.samples)
            kept = _kept(comparison, temporary, Path(out))
    _print(replace(built.result, path=kept), comparison, folded=not no_fold)
    return comparison.exit_code if comparison is not None else 0


def _verified(model: Any, path: Path, samples: Calibration | None) -> Comparison:
    """The comparison on the samples that the ranges were measured on: others may lie outside of them."""
    from kerasbn_export.verification import verify

    data = None if samples is None else [array[:VERIFIED_SAMPLES] for array in samples.arrays]
    return verify(model, path, data=data)


def _kept(comparison: Comparison | None, temporary: Path, out: Path) -> Path:
    """Where the file ends up; one that was refused is moved away from under its name."""
    if comparison is None or comparison:
        return out
    rejected = out.with_name(f"{out.stem}.rejected{out.suffix}")
    os.replace(temporary, rejected)
    return rejected


def _print(result: ExportResult, comparison: Comparison | None, *, folded: bool) -> None:
    console = stdout()
    if result.verdicts:
        console.print(verdict_table(result.verdicts))
    console.print(table("", ("operation", "count>"), result.ops.items()))
    lines = [f"{result.path}: {result.precision}, {result.bytes:,} bytes, {sum(result.ops.values())} operations."]
    lines.append(verdict_line(result.verdicts) if folded else "Not folded, as asked for.")
    if result.affine_ops_left:
        lines.append(f"{result.affine_ops_left} operations multiply or add a per-channel constant.")
    if result.float_ops_left:
        left = ", ".join(f"{count} {name}" for name, count in result.float_ops_left.items())
        lines.append(f"Left in float by the converter: {left}.")
    if result.calibration:
        lines.append(f"Calibrated on {result.calibration}.")
    lines.append("Not verified." if comparison is None else comparison.verdict)
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)
