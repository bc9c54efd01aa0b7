"""An explanation as a page that opens without a network."""

from __future__ import annotations

from kerasbn_export.explanation.records import Explanation
from kerasbn_export.verification.report.pages import environment


def to_html(explanation: Explanation) -> str:
    """The three lines, the table and the notes, with nothing outside of the page."""
    columns, rows = explanation.table()
    titles = [column.removesuffix(">") for column in columns]
    page = environment("kerasbn_export.explanation").get_template("explain.html")
    return page.render(explanation=explanation, columns=titles, rows=list(rows)) + "\n"
