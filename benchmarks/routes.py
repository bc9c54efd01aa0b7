"""Two routes to a file, side by side: TensorFlow's converter, and ``litert-converter`` with ``litert-quantizer``.

    python benchmarks/routes.py                            seven networks of Keras 3
    python benchmarks/routes.py --keras tf_keras --only MobileNetV2 EfficientNetB0
    python benchmarks/routes.py --markdown                 the table of docs/benchmarks.md
    python benchmarks/routes.py --models --results FILE    the small reference models of both Kerases, each row kept
    python benchmarks/routes.py --precision int8           SQNR and seconds of the networks of benchmarks/int8.py
    python benchmarks/routes.py --precision int8 --best --corpus FOLDER

The networks are folded first, with random weights and statistics. Every file is made in a process of its own, once.
"seconds" are those of processors in the conversion, from the folded model to the file: other work on the machine does
not count. "memory" is what the process grew by at its highest, and that of the process which it starts. "right" is what
``verify`` says of the file. The latency is the second file's over the first's, interleaved, one thread.

With --precision the files are those of `export_tflite`, and SQNR is measured before any softmax, on samples that no
range was measured on.

The exit code is 1 if a file is wrong, or if the second route's has more operations or is slower by more than 5 %;
with --precision, if it is worse by more than 0.3 dB.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from applications import SIZES, build, give_statistics
from files import silent
from int8 import CALIBRATING, JUDGING, SLACK, SUBJECTS, Subject, resnet8
from patterns import give_numbers
from rich.console import Console
from rich.table import Table

from kerasbn.errors import ConversionError
from kerasbn.flavour import NAMES, Flavour
from kerasbn_export import export_tflite, fold, verify
from kerasbn_export.benchmark.latency import compare_latency
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.conversion.convert import convert
from kerasbn_export.conversion.options import ConversionOptions
from kerasbn_export.conversion.recurrent_form import for_file
from kerasbn_export.conversion.routes import LITERT, TENSORFLOW
from kerasbn_export.export.scoring import scorer
from kerasbn_export.precision import CALIBRATED, ONE_SCALE, PRECISIONS
from kerasbn_export.tflite.file import read_tflite
from models import ROWS

NETWORKS = ("MobileNetV2", "EfficientNetB0", "DenseNet121", "digits_cnn", "ds_cnn", "tcn", "resnet1d")
ROUTES = (TENSORFLOW, LITERT)
SLOWEST = 1.05
MODELS = {row.name: row for row in ROWS if row.small is not None}
HEADINGS = ("network", "right", "operations", "seconds", "memory, MB", "latency")


def main() -> int:
    """Prints the table; 0 if the second route is as good."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NETWORK")
    parser.add_argument("--keras", choices=NAMES, default="keras")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--models", action="store_true", help="the small reference models of both Kerases")
    parser.add_argument("--results", type=Path, metavar="FILE", help="with --models: keeps each row, and goes on there")
    parser.add_argument("--precision", choices=[name for name in PRECISIONS if name != "float32"])
    parser.add_argument("--best", action="store_true", help="with --precision int8: best=True as well")
    parser.add_argument("--corpus", type=Path, help="with --precision: the folder with resnet8.h5")
    parser.add_argument("--one", nargs=3, metavar=("NETWORK", "ROUTE", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(*arguments.one, flavour=Flavour(arguments.keras))))
        return 0
    if arguments.precision:
        return by_precision(arguments)
    rows = of_models(arguments) if arguments.models else [row(name, arguments.keras) for name in chosen(arguments)]
    show(HEADINGS, [cells for cells, _ in rows], arguments)
    return int(not all(good for _, good in rows))


def chosen(arguments: argparse.Namespace, names: Iterable[str] = NETWORKS) -> list[str]:
    """The networks that were asked for, or all."""
    return list(arguments.only or names)


def of_models(arguments: argparse.Namespace) -> list[tuple[list[str], bool]]:
    """The reference models; a network that was measured before is not measured again."""
    results = arguments.results
    done = json.loads(results.read_text()) if results and results.exists() else {}
    for keras in NAMES:
        for name in (name for name in chosen(arguments, MODELS) if f"{name}; {keras}" not in done):
            cells, good = row(name, keras)
            done[f"{name}; {keras}"] = [[cells[0] + ("" if keras == "keras" else ", tf_keras"), *cells[1:]], good]
            if results:
                results.write_text(json.dumps(done))
    return [(cells, good) for cells, good in done.values()]


def by_precision(arguments: argparse.Namespace) -> int:
    """Prints SQNR and seconds; 1 if the second route's file is worse."""
    subjects = SUBJECTS | ({"resnet8": resnet8(arguments.corpus)} if arguments.corpus else {})
    forms: dict[str, dict[str, Any]] = {"as folded": {"best": False} if arguments.precision in CALIBRATED else {}}
    if arguments.precision in ONE_SCALE:
        forms["one scale"] = {**forms["as folded"], "weights": "per-tensor"}
    if arguments.best:
        forms["best"] = {"best": True}
    rows, bad = [], 0
    for name in chosen(arguments, subjects):
        subject = subjects[name](Flavour("tf_keras" if name == "resnet8" else arguments.keras))
        for form, options in forms.items():
            found = [exported(subject, arguments.precision, route, options) for route in ROUTES]
            rows.append([name, form, *(", ".join(pair) for pair in zip(*(texts for texts, _ in found), strict=True))])
            bad += found[1][1] < found[0][1] - SLACK
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


def row(name: str, keras: str) -> tuple[list[str], bool]:
    """One network, and whether the second route is as good."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{route}.tflite") for route in ROUTES]
        found = [in_child(name, route, path, keras) for route, path in zip(ROUTES, paths, strict=True)]
        ratio = compare_latency(paths)[1].ratio if all(path.exists() for path in paths) else math.nan
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
    model = network(name, flavour)
    folded = for_file(fold(model, dtype="float32", batch_size=1).model, "float32", route).model
    before = start_of_memory()
    start = processor_seconds()
    try:
        data = convert(folded, ConversionOptions(route=route))
    except ConversionError:
        return dict.fromkeys(("right", "operations", "seconds", "memory"), "refused")
    seconds = processor_seconds() - start
    memory = of_memory("VmHWM") - before + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    Path(path).write_bytes(data)
    return {
        "seconds": f"{seconds:.1f}",
        "memory": f"{memory / 1024:.0f}",
        "operations": sum(read_tflite(data).op_counts.values()),
        "right": "yes" if verify(folded, path, layers=False) or verify(folded, path) else "no",  # see verify's appeals
    }


def network(name: str, flavour: Flavour) -> Any:
    """A network with random numbers."""
    if name in SIZES:
        return give_statistics(build(name, flavour))
    return give_numbers(MODELS[name].build(flavour.name, **MODELS[name].small or {}))


def processor_seconds() -> float:
    """What this process took of processors, and those that it started and that ended."""
    return sum(os.times()[:4])


def start_of_memory() -> int:
    """The kilobytes that this process has now; the highest mark is put there."""
    Path("/proc/self/clear_refs").write_text("5")
    return of_memory("VmRSS")


def of_memory(field: str) -> int:
    """A line of the kernel's record of this process, in kilobytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def show(headings: Sequence[str], rows: list[list[str]], arguments: argparse.Namespace) -> None:
    """The table, each pair is the first route's and the second's."""
    if arguments.markdown:
        for cells in (headings, ["---"] * len(headings), *rows):
            print(f"| {' | '.join(cells)} |")
        return
    table = Table(*headings, title=f"{arguments.keras}: tensorflow, litert")
    for cells in rows:
        table.add_row(*cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    sys.exit(main())
