"""The demo's table: one row per form of the network."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from kerasbn_export.demo.variant import Variant

ANSWERS = {None: Text("reference", "dim"), True: Text("equal", "green"), False: Text("differs", "bold red")}


def comparison_table(variants: Sequence[Variant], *, title: str) -> Table:
    """The table of all forms of the network."""
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("model", no_wrap=True)
    for heading in ("accuracy", "BatchNorms\nleft", "ops", "bytes", "latency\nratio", "largest\ndifference"):
        table.add_column(heading, justify="right")
    table.add_column("verifier")
    for variant in variants:
        table.add_row(*_cells(variant), end_section=variant.latency is None and variant.equal is not None)
    return table


def _cells(variant: Variant) -> list[str | Text]:
    is_keras = variant.latency is None
    return [
        variant.name,
        f"{variant.accuracy:.2%}",
        str(variant.batchnorms),
        f"{variant.ops} layers" if is_keras else str(variant.ops),
        f"{variant.bytes:,}",
        "" if variant.latency is None else f"{variant.latency.ratio:.2f}",
        "" if variant.equal is None else f"{variant.difference:.1e}",
        ANSWERS[variant.equal],
    ]
