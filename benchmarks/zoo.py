"""Architectures from packages: fold, export, verify, operations and time against the stock converter.

    python benchmarks/zoo.py                           both Kerases, what is installed: hours on two cores
    python benchmarks/zoo.py keras --only kimm         the rows whose name holds a word
    python benchmarks/zoo.py --precision float32       fewer precisions than float32, float16 and int8
    python benchmarks/zoo.py --results FILE            keeps every row as it is done, and goes on where it was
    python benchmarks/zoo.py --results FILE --summary --markdown   the tables of docs/compatibility.md
    python benchmarks/zoo.py --list                    the rows, and which packages are absent
    python -m pip install -e '.[zoo]' --no-deps        the packages; some ask for an older TensorFlow than they need

`zoo_networks` has the rows. Operations and time are those of the float32 files, ours and stock's. The exit code is 1 if
there is a fault: a false alarm, a crash, a wrong number, int8 more than 0.3 dB below the stock converter, more
operations than stock, or a refusal that stock does not make. `judged_model` has the words of the table.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import argparse
import importlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from every_layer import PRECISIONS
from files import our_file, stock_file
from guarded import Work
from judged_model import Step, judge_model
from tutorials import Network, left, operations, summary, sweep
from zoo_networks import absent, build, origin, rows

from kerasbn.errors import KerasBNError
from kerasbn_export import fold
from kerasbn_export.benchmark.latency import compare_latency

ROUNDS = 20
CALIBRATING, DRAWS = 48, 3
"""Samples that ranges are measured on, and draws where one is below stock's: these networks are large."""
HEADINGS = ("package", "network", "input", "BatchNorms left", "operations", "time", *PRECISIONS, "int8 against stock")


def prepare(flavour: str, precisions: Sequence[str]) -> Work:
    """What a child process does with a row."""

    def work(row: str) -> Iterator[Step]:
        model = build(flavour, row, 0)
        yield Step("input", "right", ", ".join(" x ".join(map(str, tensor.shape[1:])) for tensor in model.inputs))
        yield from _against_stock(model)
        yield from judge_model(lambda seed: build(flavour, row, seed), precisions, calibrating=CALIBRATING, draws=DRAWS)

    return work


def _against_stock(model: Any) -> Iterator[Step]:
    """BatchNorms that are left, operations, and time."""
    with tempfile.TemporaryDirectory() as folder:
        ours, stock = Path(folder, "ours.tflite"), Path(folder, "stock.tflite")
        try:
            yield Step("left", "right", left(fold(model).verdicts))
            our_file(model, ours)
            stock_file(model, stock)
        except KerasBNError:  # `judge_model` says which
            if ours.exists():
                yield operations(ours, None)
            return
        yield operations(ours, stock)
        yield Step("time", "right", f"{compare_latency([stock, ours], rounds=ROUNDS)[1].ratio:.2f}")


def cells(flavour: str, row: Network) -> list[str]:
    """What both tables say of a row."""
    words = [row.outcome(precision) or "not run" for precision in PRECISIONS]
    words = [f"{word}, stock too" if name in row.stock else word for name, word in zip(PRECISIONS, words, strict=True)]
    if words[-1] == "right":
        words[-1] = row.detail("int8").partition(",")[0]
    given = [row.detail(name) for name in ("input", "left", "operations", "time")]
    return [origin(flavour, row.name), row.name.rpartition(" ")[2], *given, *words, row.against_stock]


def text(flavour: str, row: Network) -> str:
    """One line, and one for each fault."""
    package, network, *others = cells(flavour, row)
    absent = [f"    {step.detail}" for step in row.steps if step.outcome == "absent"]
    return "\n".join([f"{package} {network}: {'; '.join(others)}", *absent, *(f"    {fault}" for fault in row.faults)])


def markdown(flavour: str, version: str, done: Sequence[Network]) -> str:
    """The table for the docs."""
    given = [HEADINGS, ["---"] * len(HEADINGS), *(cells(flavour, row) for row in done)]
    return "\n".join([f"### {flavour} {version}", "", *(f"| {' | '.join(each)} |" for each in given), ""])


def keep(path: Path, flavour: str, row: Network) -> None:
    """Adds a row to a file of results, a line of JSON."""
    steps = [[step.name, step.outcome, step.detail] for step in row.steps]
    with path.open("a") as file:
        file.write(json.dumps({"keras": flavour, "row": row.name, "steps": steps}) + "\n")


def kept(path: Path, flavour: str) -> dict[str, Network]:
    """The rows of a file of results, by name; of a step that was done again the last answer."""
    found: dict[str, dict[str, Step]] = {}
    for line in map(json.loads, path.read_text().splitlines() if path.exists() else []):
        if line["keras"] == flavour:
            steps = [Step(*step) for step in line["steps"]]
            again = {_subject(step) for step in steps}
            old = {name: step for name, step in found.get(line["row"], {}).items() if _subject(step) not in again}
            found[line["row"]] = old | {step.name: step for step in steps}
    return {name: Network(name, steps=list(steps.values())) for name, steps in found.items()}


def run(flavour: str, options: argparse.Namespace) -> dict[str, Network]:
    """Every row that the options ask for; not again what the results hold in all precisions and without a fault."""
    names = [row for row in rows(flavour) if not options.only or any(word in row for word in options.only)]
    done = kept(options.results, flavour) if options.results else {}
    todo = [name for name in names if not absent(name) and not _is_done(done.get(name), options.precision)]
    for row in sweep(flavour, options.precision, [] if options.summary else todo, prepare):
        done[row.name] = row
        print(text(flavour, row), flush=True)
        if options.results:
            keep(options.results, flavour, row)
            done = kept(options.results, flavour)
    return {name: done[name] for name in names if name in done}


def _subject(step: Step) -> str:
    """What a step is about: a precision, or its own name."""
    return step.name.removeprefix("stock ").partition(" ")[0]


def _is_done(row: Network | None, precisions: Sequence[str]) -> bool:
    return row is not None and not row.faults and all(row.outcome(precision) for precision in precisions)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("keras", nargs="*", default=["keras", "tf_keras"])
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD")
    parser.add_argument("--precision", nargs="+", default=list(PRECISIONS), choices=PRECISIONS)
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="rows that it has without a fault are not run again"
    )
    parser.add_argument("--summary", action="store_true", help="run nothing, show the results")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--markdown", action="store_true", help="print the tables of docs/compatibility.md, too")
    return parser.parse_args()


def main() -> int:
    """Prints the table."""
    options = arguments()
    faulty = 0
    for flavour in options.keras:
        os.environ["TF_USE_LEGACY_KERAS"] = str(int(flavour == "tf_keras"))  # read when a child imports TensorFlow
        version = importlib.import_module(flavour).__version__
        print(f"{flavour} {version}", flush=True)
        print("\n".join(f"{row:50} its package is not installed" for row in rows(flavour) if absent(row)))
        if options.list:
            print("\n".join(row for row in rows(flavour) if not absent(row)))
            continue
        done = list(run(flavour, options).values())
        faulty += sum(bool(row.faults) for row in done)
        print(summary(flavour, done))
        if options.markdown:
            print(markdown(flavour, version, done))
    return int(faulty > 0)


if __name__ == "__main__":
    sys.exit(main())
