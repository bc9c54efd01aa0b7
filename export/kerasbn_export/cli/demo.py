"""``kerasbn demo``."""

from __future__ import annotations

from pathlib import Path

import click

from kerasbn.flavour import NAMES


@click.command("demo")
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("kerasbn-demo"), show_default=True,
              help="Folder for the models, the JSON and the picture.")  # fmt: skip
@click.option("--keras", type=click.Choice(NAMES), default="keras", show_default=True, help="Keras 3 or Keras 2.")
def command(out: Path, keras: str) -> int:
    """Train on real digits, fold, export, verify, report."""
    from kerasbn_export.demo import run_demo

    return 0 if run_demo(out, keras) else 1
