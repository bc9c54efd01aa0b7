"""The demo's table: one row per form of the network, then what became of the BatchNorms that are left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kerasbn_export.demo.report import DemoReport
from kerasbn_export.demo.variant import Variant

KERAS_NAMES = {"keras": "Keras 3", "tf_keras": "Keras 2"}
ANSWERS = {None: Text(""), True: Text("equal", "green"), False: Text("differs", "bold red")}

WIDTH, PERCENT = 15, 7
"""Characters of a score and a size together, such that the table fits into 80; characters of 100.00%."""


@dataclass(frozen=True)
class Size:
    """The unit of a table's sizes."""

    heading: str
    bytes: int

    def text(self, variant: Variant) -> str:
        """The size of a file."""
        return f"{round(variant.bytes / self.bytes):,}"


def title(report: DemoReport) -> str:
    """One line for the table and the picture."""
    return (
        f"{report.title} in {KERAS_NAMES[report.keras]}: {report.gone} of {len(report.verdicts)} BatchNorms folded away"
    )


def print_report(report: DemoReport, out: Path, console: Console) -> None:
    """Print the table, a line for each BatchNorm that is left, and where the files are."""
    console.print(comparison_table(report))
    left = [verdict for verdict in report.verdicts if not verdict.gone]
    for where, verdicts in (("", left), ("int8: ", report.kept_in_int8)):
        for verdict in verdicts:
            reason = verdict.reason.value if verdict.reason else "no reason given"
            console.print(Text(f"{where}{verdict.action.value} {verdict.layer} ({reason}): {verdict.sentence}"))
    console.print(Text(f"Models, demo.json and demo.png are in {out}. {report.seconds:.0f} s."), soft_wrap=True)


def comparison_table(report: DemoReport) -> Table:
    """The table of all forms of the network."""
    longest = max(len(f"{variant.bytes:,}") for variant in report.variants)
    size = Size("bytes", 1) if max(len(report.metric), PERCENT) + longest <= WIDTH else Size("kB", 1000)
    table = Table(
        title=title(report),
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    table.add_column("model", no_wrap=True)
    for heading in (
        report.metric,
        "BNs\nleft",
        "ops or\nlayers",
        size.heading,
        "latency\nratio",
        "largest\ndifference",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verified", no_wrap=True)
    for variant, following in zip(report.variants, [*report.variants[1:], None], strict=True):
        table.add_row(*_cells(variant, size), end_section=following is None or following.group != variant.group)
    return table


def _cells(variant: Variant, size: Size) -> list[str | Text]:
    return [
        variant.name,
        f"{variant.score:.2%}",
        str(variant.batchnorms),
        str(variant.ops),
        size.text(variant),
        "" if variant.latency is None else f"{variant.latency.ratio:.2f}",
        "" if variant.equal is None else f"{variant.difference:.1e}",
        ANSWERS[variant.equal],
    ]
