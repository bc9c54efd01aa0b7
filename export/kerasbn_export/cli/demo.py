"""``kerasbn demo``."""

from __future__ import annotations

from pathlib import Path

import click

from kerasbn.flavour import NAMES

FOLDER = "kerasbn-demo"


@click.command("demo")
@click.argument("name", required=False)
@click.option("--list", "listed", is_flag=True, help="Print every demo: data, minutes, size and licence.")
@click.option("-o", "--out", type=click.Path(path_type=Path), default=None, show_default=f"{FOLDER}, or {FOLDER}-NAME",
              help="Folder for the models, the JSON and the picture.")  # fmt: skip
@click.option("--keras", type=click.Choice(NAMES), default="keras", show_default=True, help="Keras 3 or Keras 2.")
def command(name: str | None, listed: bool, out: Path | None, keras: str) -> int:
    """Train on real data, fold, export, verify, report.

    NAME is one of --list; without it a small CNN learns 8x8 digits.
    """
    from kerasbn_export.demo import TASKS, print_tasks, run_demo, task_named

    if listed:
        from rich.console import Console

        print_tasks(TASKS.values(), Console())
        return 0
    if name is None:
        return 0 if run_demo(out or Path(FOLDER), keras) else 1
    return 0 if run_demo(out or Path(f"{FOLDER}-{name}"), keras, task=task_named(name)) else 1
