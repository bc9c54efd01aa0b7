"""Two routes to a file, side by side: TensorFlow's converter, and ``litert-converter`` with ``litert-quantizer``.

    python benchmarks/routes.py                            seven networks of Keras 3
    python benchmarks/routes.py --keras tf_keras --only MobileNetV2 EfficientNetB0
    python benchmarks/routes.py --markdown                 the table of docs/benchmarks.md
    python benchmarks/routes.py --of models --results FILE        the small reference models, each row kept
    python benchmarks/routes.py --of layers|tutorials|zoo --results FILE      those of the sweeps: hours
    python benchmarks/routes.py --of layers --results FILE --summary          no row is measured, what is kept is told
    python benchmarks/routes.py --precision int8           SQNR and seconds of the networks of benchmarks/int8.py
    python benchmarks/routes.py --precision int8 --best --corpus FOLDER

The networks are folded first, with random weights and statistics. The files of one are made in a process of their own.
"seconds" are those of processors in the conversion, from the folded model to the file: other work on the machine does
not count. "memory" is what the process grew by at its highest, and that of the process which it starts. "right" is what
``verify`` says of the file. The latency is the second file's over the first's, interleaved, one thread.

With --precision the files are those of `export_tflite`, and SQNR is measured before any softmax, on samples that no
range was measured on.

The exit code is 1 if a file is wrong, or if the second route's has more operations or is slower by more than 5 %;
with --precision, if it is worse by more than 0.3 dB, in float16 1 dB.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import json
import math
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from files import silent
from int8 import CALIBRATING, JUDGING, SLACK, SUBJECTS, Subject, resnet8
from rich.console import Console
from rich.table import Table
from route_rows import ROUTES, SOURCES, in_child, names, processor_seconds

from kerasbn.errors import ConversionError, KerasBNError
from kerasbn.flavour import NAMES, Flavour
from kerasbn_export import export_tflite
from kerasbn_export.benchmark.latency import compare_latency
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.export.scoring import scorer
from kerasbn_export.precision import CALIBRATED, ONE_SCALE, PRECISIONS

SLACKS = {"float16": 1.0}
"""Of the dB, where chance decides: a handful of weights rounds up or down at 60 dB."""
SLOWEST = 1.05
HEADINGS = ("network", "right", "operations", "seconds", "memory, MB", "latency")


def main() -> int:
    """Prints the table; 0 if the second route is as good."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NETWORK")
    parser.add_argument("--keras", choices=NAMES, help="one Keras; keras alone without --of")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--of", choices=SOURCES, default="networks", help="which networks, in both Kerases")
    parser.add_argument("--results", type=Path, metavar="FILE", help="keeps each row, and goes on there")
    parser.add_argument(
        "--summary", action="store_true", help="with --results: how many rows are alike, and the others"
    )
    parser.add_argument("--precision", choices=[name for name in PRECISIONS if name != "float32"])
    parser.add_argument("--best", action="store_true", help="with --precision int8: best=True as well")
    parser.add_argument("--corpus", type=Path, help="with --precision: the folder with resnet8.h5")
    arguments = parser.parse_args()
    if arguments.precision:
        return by_precision(arguments)
    rows = list(measure(arguments))
    if arguments.summary:
        print("\n".join(summary(rows)))
    else:
        show(HEADINGS, [row.cells() for row in rows], arguments)
    return int(not all(row.good() for row in rows))


@dataclass(frozen=True)
class Row:
    """One network by both routes.

    Attributes:
        name: The network, and its Keras where that is not Keras 3.
        first: What `route_rows.measured` says of the first route's file.
        second: Of the second's.
        latency: The second's time over the first's.
    """

    name: str
    first: dict[str, Any]
    second: dict[str, Any]
    latency: float

    def cells(self) -> list[str]:
        """The row of the table."""
        pairs = [
            f"{self.first.get(key, '-')}, {self.second.get(key, '-')}"
            for key in ("right", "operations", "seconds", "memory")
        ]
        return [self.name, *pairs, "-" if math.isnan(self.latency) else f"{self.latency:.2f}"]

    def good(self) -> bool:
        """Whether the second route is as good: right where the first is, with no more operations, not slower."""
        if self.first["right"] != "yes":
            return self.second["right"] in (self.first["right"], "yes")
        return self.alike() and self.second["operations"] <= self.first["operations"] and self.latency <= SLOWEST

    def alike(self) -> bool:
        """Whether both files are there, and right."""
        return self.first["right"] == self.second["right"] == "yes"


def measure(arguments: argparse.Namespace) -> Iterator[Row]:
    """The rows; a network that was measured before is not measured again."""
    results = arguments.results
    done = json.loads(results.read_text()) if results and results.exists() else {}
    kerases = [arguments.keras] if arguments.keras else ["keras"] if arguments.of == "networks" else NAMES
    for keras in kerases:
        for name in [] if arguments.summary else arguments.only or names(arguments.of, keras):
            if f"{name}; {keras}" not in done:
                done[f"{name}; {keras}"] = _by_both(arguments.of, keras, name)
            if results:
                results.write_text(json.dumps(done, indent=0))
    for key, found in done.items():
        name, _, keras = key.rpartition("; ")
        if keras in kerases:
            yield Row(name + ("" if keras == "keras" else f", {keras}"), *found)


def _by_both(source: str, keras: str, name: str) -> tuple[dict[str, Any], dict[str, Any], float]:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{route}.tflite") for route in ROUTES]
        first, second = in_child(source, keras, name, paths)
        try:
            return first, second, compare_latency(paths)[1].ratio
        except KerasBNError:  # a file is not there, or LiteRT has no kernel for it: `verify` says so, too
            return first, second, math.nan


def summary(rows: Sequence[Row]) -> Iterator[str]:
    """How many rows there are of each kind, and those that are not alike."""
    counts = Counter((row.first["right"], row.second["right"]) for row in rows)
    yield "rows by the answer of each route: " + ", ".join(f"{a} and {b} {n}" for (a, b), n in counts.most_common())
    alike = [row for row in rows if row.alike()]
    more = [row for row in alike if row.second["operations"] > row.first["operations"]]
    fewer = [row for row in alike if row.second["operations"] < row.first["operations"]]
    slower = [row for row in alike if row.latency > SLOWEST]
    yield f"of {len(alike)} right by both: {len(fewer)} with fewer operations by the second, {len(more)} with more"
    for key in ("seconds", "memory"):
        parts = [row.second[key] / max(row.first[key], 0.01) for row in alike]
        yield f"{key}: the second's over the first's, median {statistics.median(parts):.2f}, at most {max(parts):.2f}"
    yield f"latency: median {statistics.median(row.latency for row in alike):.2f}; {len(slower)} above {SLOWEST}"
    for row in [row for row in rows if not row.good() and row.first["right"] != "absent"]:
        why = row.second.get("why") or row.first.get("why", "")
        yield " | ".join([*row.cells(), why])


def by_precision(arguments: argparse.Namespace) -> int:
    """Prints SQNR and seconds; 1 if the second route's file is worse."""
    subjects = SUBJECTS | ({"resnet8": resnet8(arguments.corpus)} if arguments.corpus else {})
    forms: dict[str, dict[str, Any]] = {"as folded": {"best": False} if arguments.precision in CALIBRATED else {}}
    if arguments.precision in ONE_SCALE:
        forms["one scale"] = {**forms["as folded"], "weights": "per-tensor"}
    if arguments.best:
        forms["best"] = {"best": True}
    rows, bad = [], 0
    for name in arguments.only or subjects:
        subject = subjects[name](Flavour("tf_keras" if name == "resnet8" else arguments.keras or "keras"))
        for form, options in forms.items():
            found = [exported(subject, arguments.precision, route, options) for route in ROUTES]
            rows.append([name, form, *(", ".join(pair) for pair in zip(*(texts for texts, _ in found), strict=True))])
            bad += found[1][1] < found[0][1] - SLACKS.get(arguments.precision, SLACK)
    show(("network", "form", "SQNR, dB", "operations", "bytes", "seconds"), rows, arguments)
    return int(bool(bad))


def exported(subject: Subject, precision: str, route: str, options: Mapping[str, Any]) -> tuple[list[str], float]:
    """What is said of a file, and its SQNR."""
    samples = subject.train[:CALIBRATING] if precision in CALIBRATED else None
    score = scorer(subject.model, Calibration((subject.test[:JUDGING],), "array"))
    with tempfile.TemporaryDirectory() as folder, silent():
        path = Path(folder, "m.tflite")
        start = processor_seconds()
        try:
            made = export_tflite(subject.model, path, precision=precision, calibration=samples, route=route, **options)
        except ConversionError:
            return ["refused"] * 4, -math.inf
        seconds = processor_seconds() - start
        reached = score(path.read_bytes())
    return [f"{reached:.1f}", f"{sum(made.ops.values())}", f"{made.bytes:,}", f"{seconds:.1f}"], reached


def show(headings: Sequence[str], rows: list[list[str]], arguments: argparse.Namespace) -> None:
    """The table, each pair is the first route's and the second's."""
    if arguments.markdown:
        for cells in (headings, ["---"] * len(headings), *rows):
            print(f"| {' | '.join(cells)} |")
        return
    table = Table(*headings, title="tensorflow, litert")
    for cells in rows:
        table.add_row(*cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    sys.exit(main())
