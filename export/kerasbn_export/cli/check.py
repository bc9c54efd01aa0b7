"""``kerasbn check``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kerasbn_export.cli.options import COUNT, Finite
from kerasbn_export.cli.output import json_text, progress, stdout, table, write_reports

if TYPE_CHECKING:
    from kerasbn.statistics.health import Health


@click.command("check")
@click.argument("model")
@click.option("--data", metavar="X.npy|X.npz", help="Samples, prepared as for training: a few hundred are enough.")
@click.option("--images", metavar="FOLDER", help="Samples as a folder of images.")
@click.option("--image-range", nargs=2, type=Finite(), help="What 0 and 255 become, for --images.")
@click.option("--labels", metavar="Y.npy", help="Their labels: classes, one-hot, or numbers.")
@click.option("--batch-size", type=COUNT, help="Of the training; known, it is judged.")
@click.option("--json", "json_path", metavar="OUT.json", help="Write the findings as JSON; - for standard output.")
@click.option("--html", "html_path", metavar="OUT.html", help="Write a page with pictures that needs no network.")
@click.option("--allow-code", is_flag=True, help="Run code that the model file carries: only for files you trust.")
def command(
    model: str,
    data: str | None,
    images: str | None,
    image_range: tuple[float, float] | None,
    labels: str | None,
    batch_size: int | None,
    json_path: str | None,
    html_path: str | None,
    allow_code: bool,
) -> int:
    """Whether the BatchNorm statistics are fit to ship: exit 0 if so, 1 if not, 2 if that cannot be said."""
    sources = {"MODEL": model, "--data": data, "--images": images, "--labels": labels}
    with progress() as step:
        step(f"load {model}")
        from kerasbn.statistics.checking import check
        from kerasbn_export.files.paths import HTML, JSON, Output, check_paths
        from kerasbn_export.loading.load import load_model
        from kerasbn_export.statistics.samples import read_samples
        from kerasbn_export.statistics.training_steps import training_steps

        check_paths(sources, [Output("--json", json_path, JSON), Output("--html", html_path, HTML)])
        loaded = load_model(model, allow_code=allow_code)
        step("check")
        samples = read_samples(loaded, data, images=images, image_range=image_range, labels=labels)
        health = check(loaded, samples, batch_size=batch_size, training_steps=training_steps(model))
        reports = _reports(health, model, json_path, html_path)
    if not write_reports(reports):
        _print(health)
    return health.exit_code


def _reports(health: Health, model: str, json_path: str | None, html_path: str | None) -> dict[str, str]:
    from kerasbn_export.statistics.page import to_html

    made = {} if json_path is None else {json_path: json_text({"model": model, **health.to_json()})}
    return made if html_path is None else {**made, html_path: to_html(health, model)}


def _print(health: Health) -> None:
    console = stdout()
    columns, rows = health.table()
    if health.findings:
        console.print(table("", columns, rows))
    console.print(health.headline, soft_wrap=True, markup=False)
