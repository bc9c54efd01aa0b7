"""What `print` and a notebook show of a record: what the command line prints, not every field."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

Rows = tuple[Sequence[str], Iterable[Sequence[object]]]
"""The columns of a table, those of numbers with a ``>`` at the end, and its rows."""


class Shown:
    """A record with a summary in a few lines, and a table for a notebook."""

    def __str__(self) -> str:
        return "\n".join(self.summary())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        columns, rows = self.table()
        head = "".join(f"<th>{escape(column.removesuffix('>'))}</th>" for column in columns)
        body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if body else ""
        return "".join(f"<p>{escape(line)}</p>" for line in self.summary()) + table

    def summary(self) -> list[str]:
        """The answer first, one thing a line."""
        raise NotImplementedError

    def table(self) -> Rows:
        """What the answer is made of."""
        raise NotImplementedError
