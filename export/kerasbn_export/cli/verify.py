"""``kerasbn verify``."""

from __future__ import annotations

import math
from typing import Any

import click

from kerasbn_export.cli.comparison import check_reports, report, report_options
from kerasbn_export.cli.options import COUNT, SEED, metric_options
from kerasbn_export.cli.output import progress

BACKENDS = ("xnnpack", "builtin", "reference", "compiled", "micro", "openvino")
"""As `kerasbn_export.verification.sides.runtimes` has them, which is not imported for the sake of ``--help``."""


class Scales(click.ParamType[tuple[float, ...]]):
    """Numbers above zero with commas between them."""

    name = "scales"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """The numbers."""
        if isinstance(value, tuple):
            return value
        try:
            scales = tuple(float(part) for part in value.split(","))
        except ValueError:
            scales = (math.nan,)
        if not all(math.isfinite(scale) and scale > 0 for scale in scales):
            self.fail(f"{value!r}: accepted: numbers above 0 with commas between them, as 1,0.1,10.", param, ctx)
        return scales


@click.command("verify")
@click.argument("reference")
@click.argument("candidate")
@click.option("--data", metavar="X.npy|X.npz", help="The inputs, samples first; random ones if not given.")
@click.option("--samples", type=COUNT, default=8, show_default=True, help="Random inputs per scale.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the random inputs.")
@click.option("--scales", type=Scales(), metavar="A,B,..", default="1,0.1,10", show_default=True,
              help="Standard deviations of the random inputs, each judged on its own.")  # fmt: skip
@click.option("--backend", type=click.Choice(BACKENDS), default="xnnpack", show_default=True, help="Runs a .tflite.")
@click.option("--signature", metavar="NAME", help="Of a .tflite or SavedModel; serving_default if not given.")
@metric_options
@click.option("--no-layers", is_flag=True, help="Compare the outputs only.")
@click.option("--allow-code", is_flag=True, help="Run code that a model file carries: only for files you trust.")
@report_options
def command(
    reference: str,
    candidate: str,
    no_layers: bool,
    json_path: str | None,
    junit_path: str | None,
    html_path: str | None,
    **options: Any,
) -> int:
    """Whether CANDIDATE computes what REFERENCE computes: exit 0 if so, 1 if not, 2 if that cannot be said.

    Each is a .keras, .h5/.hdf5, SavedModel or .tflite.
    """
    sources = {"REFERENCE": reference, "CANDIDATE": candidate, "--data": options["data"], "--labels": options["labels"]}
    check_reports((json_path, junit_path, html_path), sources)
    with progress() as step:
        step("compare")
        from kerasbn_export.verification import verify

        comparison = verify(reference, candidate, layers=not no_layers, **options)
    return report(comparison, json_path, junit_path, html_path)
