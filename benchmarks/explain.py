"""`kerasbn explain` on every cause that it knows, seeded on five networks: found, its rank, what mending gives.

    python benchmarks/explain.py                               both Kerases; a quarter of an hour each
    python benchmarks/explain.py --keras keras --only unet     the networks or causes whose name holds a word
    python benchmarks/explain.py --markdown                    the table of docs/benchmarks.md

A cell has the rank of the cause and the measured gain in dB; a dash where no export mends it. Roots of a cause that
are found before it do not count. A row "healthy" is a file without a cause, and its cell counts what was found. The
exit code is 1 if a cause is not found first, or a healthy file has a finding.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

import argparse
import tempfile
from collections.abc import Iterator

from files import silent
from kerasbn_testing.seeded_causes import HEALTHY, NETWORKS, SEEDS, Subject, found, rank

from kerasbn.flavour import NAMES, Flavour
from models import print_table


def main() -> int:
    """Prints the table; 1 if a cell is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="networks, or else causes, whose name holds this word")
    parser.add_argument("--keras", choices=NAMES, help="one Keras only")
    parser.add_argument("--markdown", action="store_true", help="the table of docs/benchmarks.md")
    arguments = parser.parse_args()
    networks = [name for name in NETWORKS if arguments.only in name] or list(NETWORKS)
    rows = [row for row in (*SEEDS, *(f"healthy: {name}" for name in HEALTHY)) if arguments.only in row]
    rows = rows or [*SEEDS, *(f"healthy: {name}" for name in HEALTHY)]
    wrong = False
    for flavour in [arguments.keras] if arguments.keras else NAMES:
        cells = {(row, name): cell for name in networks for row, cell in _cells(name, flavour, rows)}
        table = [[row, *(cells[row, name][0] for name in networks)] for row in rows]
        print_table((f"cause, {flavour}", *networks), table, arguments.markdown)
        wrong |= not all(right for _, right in cells.values())
    return int(wrong)


def _cells(name: str, flavour: str, rows: list[str]) -> Iterator[tuple[str, tuple[str, bool]]]:
    """For each row its cell, and whether that is right."""
    with tempfile.TemporaryDirectory() as folder:
        subject = Subject(name, Flavour(flavour), Path(folder))
        for row in rows:
            yield row, _seeded(subject, row) if row in SEEDS else _healthy(subject, row.removeprefix("healthy: "))


def _seeded(subject: Subject, cause: str) -> tuple[str, bool]:
    with silent():
        explanation = subject.explained(SEEDS[cause](subject))
    finding, place = found(explanation, cause), rank(explanation, cause)
    if finding is None:
        return "not found", False
    return f"{place}, {'-' if finding.gain is None else f'{finding.gain:+.1f}'}", place == 1


def _healthy(subject: Subject, options: str) -> tuple[str, bool]:
    with silent():
        explanation = subject.explained(subject.case(**HEALTHY[options]))
    return str(len(explanation.findings)), bool(explanation)


if __name__ == "__main__":
    sys.exit(main())
