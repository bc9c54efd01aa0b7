"""What is left of every BatchNorm after conversion: ours against the stock converter's, pattern by pattern.

    python benchmarks/leftovers.py                    every pattern, both Kerases
    python benchmarks/leftovers.py --keras tf_keras --only conv1d
    python benchmarks/leftovers.py --batch 1          the stock converter is given a fixed batch, too

A leftover is a MUL, ADD, SUB or DIV with a constant, or a depthwise 1x1 of one output per input. The exit code is 1
if ours leaves more than stock or than algebra does, has more operations in all, or computes something else.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from files import leftovers, our_file, stock_file
from patterns import CATALOGUE, Pattern, data_for, give_numbers
from rich.console import Console
from rich.table import Table

from kerasbn.errors import ConversionError
from kerasbn.flavour import NAMES, Flavour
from kerasbn_export.tflite.file import read_tflite
from kerasbn_export.verification import verify

TOLERANCE = 2e-5
HEADINGS = ("pattern", "scales", "Keras", "least", "ours", "stock", "ops, ours", "ops, stock", "difference", "")


@dataclass(frozen=True)
class Count:
    """What a .tflite file holds of a model: operations in all, and those that only multiply or add constants."""

    ops: int
    left: int

    @classmethod
    def of(cls, path: Path) -> Count:
        """Of a file."""
        file = read_tflite(path)
        return cls(len(file.ops), len(leftovers(file)))


@dataclass(frozen=True)
class Row:
    """One pattern in one Keras; ``stock`` is None where the stock converter fails."""

    pattern: Pattern
    signs: str
    keras: str
    ours: Count
    stock: Count | None
    difference: float

    @property
    def least(self) -> int:
        """What algebra leaves."""
        return self.pattern.least_for(self.signs)

    @property
    def faults(self) -> list[str]:
        """What is wrong; empty if all is right."""
        found = {"more than algebra": self.ours.left > self.least, "differs": not self.difference <= TOLERANCE}
        if self.stock is not None:
            found["more than stock"] = self.ours.left > self.stock.left
            found["more ops"] = self.ours.ops > self.stock.ops
        return [fault for fault, there in found.items() if there]

    def cells(self) -> list[str]:
        """For the table."""
        stock = ("-", "-") if self.stock is None else (str(self.stock.left), str(self.stock.ops))
        counts = [str(self.least), str(self.ours.left), stock[0], str(self.ours.ops), stock[1]]
        return [self.pattern.name, self.signs, self.keras, *counts, f"{self.difference:.0e}", ", ".join(self.faults)]


def main() -> int:
    """Prints the table; 0 if nothing is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", choices=NAMES, help="one Keras only")
    parser.add_argument("--only", default="", help="patterns with this in their name")
    parser.add_argument("--batch", type=int, choices=[1], help="fix the stock converter's batch, too")
    arguments = parser.parse_args()
    rows = []
    for name in [arguments.keras] if arguments.keras else NAMES:
        for pattern in CATALOGUE.values():
            if arguments.only in pattern.name:
                rows += [measured(pattern, signs, Flavour(name), arguments.batch) for signs in pattern.signs]
                print(f"\r{name}: {len(rows)} ", end="", file=sys.stderr, flush=True)
    return report(rows)


def measured(pattern: Pattern, signs: str, flavour: Flavour, batch: int | None) -> Row:
    """One row."""
    flavour.keras.backend.clear_session()
    flavour.keras.utils.set_random_seed(0)
    model = give_numbers(pattern.build(flavour.keras), signs)
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder, "ours.tflite"), Path(folder, "stock.tflite")
        our_file(model, ours)
        stock = stock_count(model, theirs, batch)
        return Row(pattern, signs, flavour.name, Count.of(ours), stock, difference(model, ours))


def stock_count(model: Any, path: Path, batch: int | None) -> Count | None:
    """Of the stock converter's file; where it fails on an open batch, of the file with a batch of 1."""
    for fixed in (False, True) if batch is None else (True,):
        try:
            return Count.of(our_file(model, path, fold=False) if fixed else stock_file(model, path))
        except ConversionError:
            continue
    return None


def difference(model: Any, path: Path) -> float:
    """The largest difference between the model and the file, over the largest number of the model's outputs."""
    comparison = verify(model, path, data=data_for(model), layers=False)
    return max(output.measurement.relative for output in comparison.outputs)


def report(rows: list[Row]) -> int:
    """Prints the table and the summary; 1 if any row has a fault."""
    table = Table(title="Operations that only multiply or add constants, in the float32 .tflite")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in ("pattern", "Keras", "") else "right")
    for row in rows:
        table.add_row(*row.cells(), style="red" if row.faults else None)
    print(file=sys.stderr)
    console = Console(width=160)
    console.print(table)
    both = [(row.ours, row.stock) for row in rows if row.stock is not None]
    faults = Counter(fault for row in rows for fault in row.faults)
    console.print(
        f"{len(rows)} rows of {len({row.pattern.name for row in rows})} patterns: "
        f"{sum(ours.left for ours, _ in both)} left of stock's {sum(stock.left for _, stock in both)}, "
        f"{sum(ours.ops for ours, _ in both)} operations of stock's {sum(stock.ops for _, stock in both)}; "
        f"stock fails on {len(rows) - len(both)}; faults: {dict(faults) or 'none'}."
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
