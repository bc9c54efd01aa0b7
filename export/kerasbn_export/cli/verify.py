"""``kerasbn verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kerasbn_export.cli.output import progress, stdout, table, write_json

if TYPE_CHECKING:
    from kerasbn_export.verification import Comparison

BACKENDS = ("xnnpack", "builtin", "reference")


@click.command("verify")
@click.argument("reference")
@click.argument("candidate")
@click.option("--data", metavar="X.npy|X.npz", help="The inputs, samples first; random ones if not given.")
@click.option("--json", "json_path", metavar="OUT.json", help="Write the result as JSON; - for standard output.")
@click.option(
    "--backend", type=click.Choice(BACKENDS), default="xnnpack", show_default=True, help="Kernels for .tflite."
)
@click.option("--samples", type=click.IntRange(min=1), default=8, show_default=True, help="How many random inputs.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random inputs.")
@click.option("--tolerance", type=float, help="Largest accepted max|difference| / max|reference|.")
@click.option("--min-sqnr", type=float, help="Smallest accepted signal to noise in dB, for quantized files.")
@click.option("--allow-code", is_flag=True, help="Run code that a model file carries: only for files you trust.")
def command(reference: str, candidate: str, json_path: str | None, **options: Any) -> int:
    """Whether CANDIDATE computes what REFERENCE computes: exit 0 if so, 1 if not, 2 if that cannot be said.

    Each is a .keras, .h5/.hdf5, SavedModel or .tflite.
    """
    with progress() as step:
        step("compare")
        from kerasbn_export.verification import verify

        comparison = verify(reference, candidate, **options)
    if json_path is not None:
        write_json(comparison.to_json(), json_path)
    if json_path != "-":
        _print(comparison)
    return comparison.exit_code


def _print(comparison: Comparison) -> None:
    console = stdout()
    columns = ("output", "status", "max|difference|/max|reference|>", "SQNR dB>", "agreement>", "why")
    rows = [
        (
            output.title,
            output.status.value,
            f"{output.measurement.relative:.3g}",
            f"{output.measurement.sqnr_db:.1f}",
            "" if output.measurement.agreement is None else f"{output.measurement.agreement:.1%}",
            output.reason,
        )
        for output in comparison.outputs
    ]
    console.print(table("", columns, rows))
    for note in comparison.notes:
        console.print(f"Note: {note}", soft_wrap=True, markup=False)
    console.print(comparison.verdict, soft_wrap=True, markup=False)
