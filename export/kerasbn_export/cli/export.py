"""``kerasbn export``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kerasbn_export.cli.options import (
    BATCH_SIZE,
    DEVICE_HELP,
    SEED,
    TARGET_HELP,
    TARGETS,
    VERBOSE_HELP,
    Finite,
    metric_options,
)
from kerasbn_export.cli.output import print_verdicts, progress, stdout, table
from kerasbn_export.conversion.routes import ROUTES, TENSORFLOW
from kerasbn_export.precision import FLOAT, GRANULARITIES, LIFTS, PRECISIONS

if TYPE_CHECKING:
    from kerasbn_export.export.tflite import Built, ExportResult
    from kerasbn_export.verification import Comparison

IO_DTYPES = ("float32", "int8", "uint8", "int16")
RANGES = ("minmax", "percentile", "mse", "entropy", "best")
BEST_BY = ("sqnr", "metric")
RESIZES = ("stretch", "crop", "pad")
VERIFIED_SAMPLES = 32


@click.command("export")
@click.argument("model")
@click.option("-o", "--out", required=True, help="The .tflite file to write.")
@click.option("--device", metavar="DEVICE", help=DEVICE_HELP)
@click.option("--precision", type=click.Choice(tuple(PRECISIONS)), help="The device's own if not given, or float32.")
@click.option(
    "--calibration",
    metavar="X.npy|X.npz|FOLDER|data-free|random",
    help="Samples of the real inputs, for int8 and int16x8.",
)
@click.option(
    "--image-range",
    nargs=2,
    type=Finite(),
    help="What 0 and 255 become, for a FOLDER of images; or the range of the inputs, for data-free.",
)
@click.option(
    "--resize",
    "image_resize",
    type=click.Choice(RESIZES),
    default=RESIZES[0],
    show_default=True,
    help="What becomes of an image of other proportions, for a FOLDER of images.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of --calibration data-free and random.")
@click.option("--io-dtype", type=click.Choice(IO_DTYPES), help="The type of inputs and outputs, for int8 and int16x8.")
@click.option("--batch-size", type=BATCH_SIZE, default=1, show_default=True, help="0 leaves it open.")
@click.option("--no-fold", is_flag=True, help="Leave the BatchNorms in, to compare.")
@click.option("--strict", is_flag=True, help="Exit 1 and write nothing if a BatchNorm is left.")
@click.option("--target", type=click.Choice(TARGETS), default="latency", show_default=True, help=TARGET_HELP)
@click.option("--keep-branches", is_flag=True, help="Do not merge parallel branches: one kernel is coarser in int8.")
@click.option(
    "--dense",
    type=click.Choice(("per-channel", "per-tensor")),
    default="per-channel",
    show_default=True,
    help="One scale for each output of a Dense layer, or one for all: less accurate, a smaller arena in TFLite Micro.",
)
@click.option(
    "--weights",
    type=click.Choice(GRANULARITIES),
    help="One scale for each channel of a weight, or one for all, as some NPUs need; the device's own if not given.",
)
@click.option(
    "--best/--no-best",
    default=None,
    help="Convert several forms of an int8 file, take the most accurate. By default only where folding may cost some.",
)
@click.option("--best-by", type=click.Choice(BEST_BY), help="What --best chooses by: SQNR, or your own --metric.")
@click.option(
    "--learn-rounding",
    is_flag=True,
    help="With --best, learn whether each int8 weight is rounded up or down, from about 500 samples. Takes minutes.",
)
@click.option(
    "--ranges",
    type=click.Choice(RANGES),
    help="How the ranges of activations are chosen; best measures all. By default min/max, and with --best the best.",
)
@click.option("--keep-float", multiple=True, metavar="LAYER", help="Stays in float; a name, 'block_*' or a class.")
@click.option("--keep-int16", multiple=True, metavar="LAYER", help="Has activations of 16 bits; likewise.")
@click.option("--auto-precision", metavar="DB|metric", help="Lift as few layers as reach this SQNR, or --max-drop.")
@click.option("--lift", type=click.Choice(LIFTS), default=FLOAT, show_default=True, help="To what these are lifted.")
@click.option("--validation", metavar="X.npy|X.npz|FOLDER", help="Samples with --labels, for --metric.")
@metric_options
@click.option("--slim", is_flag=True, help="First take out the channels that a gamma of zero makes constant.")
@click.option("--select-ops", is_flag=True, help="Allow TensorFlow's operations; LiteRT alone cannot run the file.")
@click.option(
    "--route",
    type=click.Choice(ROUTES),
    default=TENSORFLOW,
    show_default=True,
    help="Whose converter: tf.lite, LiteRT's own, or auto: the second where its file is as good.",
)
@click.option("--signature", metavar="NAME", help="Of a SavedModel; serving_default if not given, '*' for all.")
@click.option("--emit-c", metavar="OUT.c", help="Write the file as a C array, too.")
@click.option("--no-verify", is_flag=True, help="Do not compare the file with the model.")
@click.option("--verbose", is_flag=True, help=VERBOSE_HELP)
@click.option("--allow-code", is_flag=True, help="Run code that the model file carries: only for files you trust.")
def command(
    model: str,
    out: str,
    emit_c: str | None,
    no_fold: bool,
    keep_branches: bool,
    no_verify: bool,
    verbose: bool,
    allow_code: bool,
    **options: Any,
) -> int:
    """Fold the model, write it as a .tflite file, and compare the two.

    A file that does not compute what the model computes does not get the name asked for: it is left beside it, with
    .rejected in its name, and the exit code is 1.
    """
    validation, labels = options["validation"], options.pop("labels")
    if (validation is None) != (labels is None):
        raise click.UsageError("--validation X.npy and --labels Y.npy go together, and with --metric.")
    options["best"] = _best(options["best"], options.pop("best_by"))
    options["auto_precision"] = _target(options["auto_precision"])
    options["validation"] = None if validation is None else (validation, labels)
    rejected = ".rejected".join(os.path.splitext(out))
    options["batch_size"] = options["batch_size"] or None
    options["fold"] = not no_fold
    options["per_channel_dense"] = options.pop("dense") == "per-channel"
    options["merge_branches"] = not keep_branches
    with progress() as step:
        step(f"load {model}")
        from kerasbn_export.cli.format_cost import cost_of_the_format
        from kerasbn_export.cli.statistics_line import statistics_line
        from kerasbn_export.export.tflite import ExportOptions, build_tflite
        from kerasbn_export.files.atomic import replacing_all
        from kerasbn_export.files.paths import C_SOURCE, TFLITE, Output, check_paths
        from kerasbn_export.loading.load import load_source

        asked = ExportOptions(**options)
        outputs = [Output("-o", out, TFLITE), Output("-o, if refused,", rejected, TFLITE)]
        outputs += [Output("--emit-c", emit_c, C_SOURCE)]
        sources = {"MODEL": model, "--calibration": asked.calibration, "--device": asked.device_file}
        sources |= {"--validation": validation, "--labels": labels}
        check_paths(sources, outputs)
        loaded = load_source(model, allow_code=allow_code, signature=asked.signature)
        statistics = statistics_line(loaded, model)
        built = build_tflite(loaded, Path(out), asked, step)
        with replacing_all([out, rejected, *filter(None, [emit_c])]) as (temporary, refused, *array):
            temporary.write_bytes(built.data)
            step("verify")
            comparisons = [] if no_verify else _verified(loaded, temporary, built)
            cost = cost_of_the_format(loaded, asked, comparisons)
            kept = Path(out)
            if not cost and not all(comparisons):
                kept, array = Path(rejected), []
                os.replace(temporary, refused)
            for path in array:
                path.write_bytes(_c_array(built, Path(str(emit_c))))
    _print(replace(built.result, path=kept), comparisons, statistics, verbose=verbose)
    if cost:
        stdout().print(cost, soft_wrap=True, markup=False)
        return 0
    return max((comparison.exit_code for comparison in comparisons), default=0)


def _verified(model: Any, path: Path, built: Built) -> list[Comparison]:
    """The comparison on the samples that the ranges were measured on: others may lie outside of them."""
    from kerasbn_export.verification import verify

    data = None if built.samples is None else [array[:VERIFIED_SAMPLES] for array in built.samples.arrays]
    if not built.programs[0].unfolded:
        return [verify(model, path, data=data)]
    from kerasbn_export.verification.sides.program_runner import ProgramRunner

    pairs = [(ProgramRunner(program), program.signature) for program in built.programs]
    return [verify(runner, path, data=data, signature=signature) for runner, signature in pairs]


def _c_array(built: Built, path: Path) -> bytes:
    from kerasbn_export.devices.c_array import c_array

    report = built.result.device
    arena = report.numbers.get("arena, bytes") if report else None
    return c_array(built.data, path, built.result.ops, None if arena is None else int(arena)).encode()


def _print(result: ExportResult, comparisons: Sequence[Comparison], statistics: str, *, verbose: bool) -> None:
    """What is left and what was done; the file and the verdict come last, where the eye is."""
    console = stdout()
    print_verdicts(result.verdicts, verbose=verbose)
    console.print(table("", ("operation", "count>"), result.ops.items()))
    if result.metric is not None:
        console.print(table("", *result.metric.table()))
    answers = [line for comparison in comparisons for line in comparison.answer] or ["Not verified."]
    said = [statistics] if statistics else []
    measured = [] if result.metric is None else [result.metric.sentence]
    for line in (
        *said,
        *result.about_conversion(),
        result.about_batchnorms()[0],
        result.about_file(),
        *measured,
        *answers,
    ):
        console.print(line, soft_wrap=True, markup=False)


def _best(best: bool | None, by: str | None) -> bool | str | None:
    """Whether forms are tried, and by what one is chosen."""
    if by is None:
        return best
    if best is False:
        raise click.UsageError(f"--best-by {by} says how --best chooses; leave --no-best out.")
    return True if by == "sqnr" else by


def _target(text: str | None) -> float | str | None:
    """A number of dB where it is one; what else is accepted the export knows."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text
