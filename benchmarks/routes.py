"""Two routes to a float32 file, side by side: TensorFlow's converter and ``litert-converter``.

    python benchmarks/routes.py                            seven networks of Keras 3
    python benchmarks/routes.py --keras tf_keras --only MobileNetV2 EfficientNetB0
    python benchmarks/routes.py --markdown                 the table of docs/benchmarks.md

The networks are folded first, with random weights and statistics. Every file is made in a process of its own, once.
"seconds" are those of the conversion, from the folded model to the file. "memory" is what the process grew by at its
highest, and that of the process which it starts. "right" is what ``verify`` says of the file. The latency is the second
file's over the first's, interleaved, one thread.

The exit code is 1 if a file is wrong, or if the second route's has more operations or is slower by more than 5 %.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from applications import SIZES, build, give_statistics
from rich.console import Console
from rich.table import Table

import kerasbn_models
from kerasbn.flavour import NAMES, Flavour
from kerasbn_export import fold, verify
from kerasbn_export.benchmark.latency import compare_latency
from kerasbn_export.conversion.convert import convert
from kerasbn_export.conversion.options import ConversionOptions
from kerasbn_export.conversion.routes import LITERT, TENSORFLOW
from kerasbn_export.tflite.file import read_tflite

NETWORKS = ("MobileNetV2", "EfficientNetB0", "DenseNet121", "digits_cnn", "ds_cnn", "tcn", "resnet1d")
ROUTES = (TENSORFLOW, LITERT)
SLOWEST = 1.05
HEADINGS = ("network", "right", "operations", "seconds", "memory, MB", "latency")


def main() -> int:
    """Prints the table; 0 if the second route is as good."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=NETWORKS, metavar="NETWORK")
    parser.add_argument("--keras", choices=NAMES, default="keras")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--one", nargs=3, metavar=("NETWORK", "ROUTE", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(*arguments.one, flavour=Flavour(arguments.keras))))
        return 0
    rows = [row(name, arguments.keras) for name in arguments.only]
    show([cells for cells, _ in rows], arguments)
    return int(not all(good for _, good in rows))


def row(name: str, keras: str) -> tuple[list[str], bool]:
    """One network, and whether the second route is as good."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{route}.tflite") for route in ROUTES]
        found = [in_child(name, route, path, keras) for route, path in zip(ROUTES, paths, strict=True)]
        ratio = compare_latency(paths)[1].ratio
    first, second = found
    pairs = [f"{first[key]}, {second[key]}" for key in ("right", "operations", "seconds", "memory")]
    good = first["right"] == second["right"] == "yes" and second["operations"] <= first["operations"]
    return [f"{name}", *pairs, f"{ratio:.2f}"], good and ratio <= SLOWEST


def in_child(name: str, route: str, path: Path, keras: str) -> dict[str, Any]:
    """`measured` in a process of its own."""
    command = [sys.executable, __file__, "--keras", keras, "--one", name, route, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measured(name: str, route: str, path: str, *, flavour: Flavour) -> dict[str, Any]:
    """Makes the file of a network by a route; what that took."""
    model = give_statistics(build(name, flavour) if name in SIZES else getattr(kerasbn_models, name)(flavour.name))
    folded = fold(model, dtype="float32", batch_size=1).model
    before = start_of_memory()
    start = time.perf_counter()
    data = convert(folded, ConversionOptions(route=route))
    seconds = time.perf_counter() - start
    memory = of_memory("VmHWM") - before + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    Path(path).write_bytes(data)
    return {
        "seconds": f"{seconds:.1f}",
        "memory": f"{memory / 1024:.0f}",
        "operations": sum(read_tflite(data).op_counts.values()),
        "right": "yes" if verify(folded, path, layers=False) else "no",
    }


def start_of_memory() -> int:
    """The kilobytes that this process has now; the highest mark is put there."""
    Path("/proc/self/clear_refs").write_text("5")
    return of_memory("VmRSS")


def of_memory(field: str) -> int:
    """A line of the kernel's record of this process, in kilobytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def show(rows: list[list[str]], arguments: argparse.Namespace) -> None:
    """The table, each pair is the first route's and the second's."""
    if arguments.markdown:
        for cells in (HEADINGS, ["---"] * len(HEADINGS), *rows):
            print(f"| {' | '.join(cells)} |")
        return
    table = Table(*HEADINGS, title=f"{arguments.keras}: tensorflow, litert")
    for cells in rows:
        table.add_row(*cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    sys.exit(main())
