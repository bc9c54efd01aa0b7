"""What the commands write: tables and JSON on standard output, progress on standard error."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from kerasbn_export.folding.verdict import Verdict

PIPED_WIDTH = 160
"""Columns where the output is no terminal, so that a name is not cut."""
_LIST_OF_NUMBERS = re.compile(r"\[\n\s+([-\d][^\[\]{}\"]*)\]")
"""It goes on one line; no string matches, since JSON has no line break in one."""


class PlainConsole(Console):
    """Takes every text as it is: what comes from a file or a path is no markup, and moves no cursor."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """The text with its control characters shown."""
        return super().render_str(printable(text), **options)


def printable(text: str) -> str:
    """The text with its control characters, and what no stream can write, as their numbers."""
    return "".join(each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in text)


def stdout() -> Console:
    """Standard output."""
    return PlainConsole(width=None if sys.stdout.isatty() else PIPED_WIDTH)


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """A line on standard error that says what is being done; nothing where that is no terminal."""
    with PlainConsole(stderr=True).status("start ...") as status:
        yield lambda step: status.update(Text(printable(f"{step} ...")))


def print_json(record: dict[str, Any]) -> None:
    """One JSON document on standard output."""
    print(json_text(record), end="")  # noqa: T201 - rich would wrap it


def json_text(record: dict[str, Any]) -> str:
    """The record as JSON; a number that is not finite is an error, since JSON has none."""
    text = json.dumps(record, indent=2, allow_nan=False) + "\n"
    return _LIST_OF_NUMBERS.sub(lambda found: "[" + " ".join(found[1].split()) + "]", text)


def write_reports(made: dict[str, str]) -> bool:
    """Writes reports, all of them or none; whether one went to standard output, and nothing else should.

    Args:
        made: By their paths, the texts; ``-`` is standard output.
    """
    from kerasbn_export.files.atomic import replacing_all
    from kerasbn_export.files.paths import STANDARD_OUTPUT

    printed = made.pop(STANDARD_OUTPUT, None)
    with replacing_all(list(made)) as temporaries:
        for temporary, text in zip(temporaries, made.values(), strict=True):
            temporary.write_bytes(text.encode(errors="backslashreplace"))
    if printed is not None:
        sys.stdout.write(printed if printed.endswith("\n") else f"{printed}\n")
    return printed is not None


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table; columns whose name ends in ``>`` are aligned to the right."""
    made = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, title_style="")
    for column in columns:
        made.add_column(column.removesuffix(">"), justify="right" if column.endswith(">") else "left", overflow="fold")
    for row in rows:
        made.add_row(*(str(cell) for cell in row))
    return made


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """What became of each BatchNorm, and where it went or why it stayed."""
    from kerasbn_export.folding.verdict import table_of

    columns, rows = table_of(verdicts)
    return table("", columns, rows)


def print_verdicts(verdicts: Sequence[Verdict], *, verbose: bool) -> None:
    """The BatchNorms that are not gone, or all of them."""
    from kerasbn_export.folding.verdict import left

    shown = verdicts if verbose else left(verdicts)
    if shown:
        stdout().print(verdict_table(shown))
    unsaid = sum(bool(verdict.note) for verdict in verdicts if verdict not in shown)
    if unsaid:
        stdout().print(f"On {unsaid} of those that are gone there is a note: --verbose.")
