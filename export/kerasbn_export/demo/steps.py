"""Shows on standard error what the demo is doing, so that standard output holds the result alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Steps:
    """A line per step with its time; a bar where the step counts what it has done."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            console=console,
        )

    @contextmanager
    def shown(self) -> Iterator[Steps]:
        """Keeps the lines on the screen up to date."""
        with self._progress:
            yield self

    @contextmanager
    def step(self, description: str, total: int = 1) -> Iterator[Callable[[], None]]:
        """One step; the function given out is called whenever a part of ``total`` is done."""
        task = self._progress.add_task(description, total=total)
        yield lambda: self._progress.advance(task)
        self._progress.update(task, completed=total)
