"""``kerasbn demo --list``: every demo, its data, and what is to be installed for it."""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kerasbn_export.demo.requirements import missing_packages, pip_line
from kerasbn_export.demo.task import Task


def print_tasks(tasks: Iterable[Task], console: Console) -> None:
    """Print the table, and a line with the command for each demo whose packages are not all installed."""
    tasks = list(tasks)
    console.print(_table(tasks))
    for task in tasks:
        if missing := missing_packages(task):
            console.print(Text(f"{task.name} needs: {' && '.join(map(pip_line, missing))}"), soft_wrap=True)


def _table(tasks: Iterable[Task]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for heading in ("name", "task"):
        table.add_column(heading, no_wrap=heading == "name")
    table.add_column("data")
    for heading in ("minutes", "int8 kB"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("licence")
    for task in tasks:
        table.add_row(task.name, task.title, task.data, f"{task.minutes:g}", str(task.kilobytes), task.licence)
    return table
