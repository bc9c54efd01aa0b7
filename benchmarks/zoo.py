"""Architectures from packages: fold, export, verify, operations and time against the stock converter.

    python benchmarks/zoo.py                           both Kerases, what is installed: hours on two cores
    python benchmarks/zoo.py keras --only kimm         the rows whose name holds a word
    python benchmarks/zoo.py --precision int8          other precisions than float32
    python benchmarks/zoo.py --list                    the rows, and which packages are absent
    python -m pip install -e '.[zoo]' --no-deps        the packages; some ask for an older TensorFlow than they need

`zoo_networks` has the rows. The columns are those of `tutorials`, whose table this is, and the time of ours in units of
stock's in float32. The exit code is 1 if there is a fault: a false alarm, a crash, a wrong number, int8 more than
0.3 dB below the stock converter, more operations than stock, or a refusal that stock does not make.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import argparse
import importlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from every_layer import PRECISIONS
from files import our_file, stock_file
from guarded import Work
from judged_model import Step, judge_model
from tutorials import counts, markdown, summary, sweep, text
from zoo_networks import absent, build, rows

from kerasbn.errors import KerasBNError
from kerasbn_export.benchmark.latency import compare_latency

ROUNDS = 20


def prepare(flavour: str, precisions: Sequence[str]) -> Work:
    """What a child process does with a row."""

    def work(row: str) -> Iterator[Step]:
        model = build(flavour, row, 0)
        yield from counts(model)
        yield from _time(model)
        yield from judge_model(lambda seed: build(flavour, row, seed), precisions)

    return work


def _time(model: Any) -> Iterator[Step]:
    with tempfile.TemporaryDirectory() as folder:
        stock, ours = Path(folder, "stock.tflite"), Path(folder, "ours.tflite")
        try:
            paths = [stock_file(model, stock), our_file(model, ours)]
        except KerasBNError:  # `judge_model` says which
            return
        yield Step("time", "right", f"{compare_latency(paths, rounds=ROUNDS)[1].ratio:.2f}")


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("keras", nargs="*", default=["keras", "tf_keras"])
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD")
    parser.add_argument("--precision", nargs="+", default=["float32"], choices=PRECISIONS)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--markdown", action="store_true", help="print the tables of docs/compatibility.md, too")
    options = parser.parse_args()
    faulty = 0
    for flavour in options.keras:
        os.environ["TF_USE_LEGACY_KERAS"] = str(int(flavour == "tf_keras"))  # read when a child imports TensorFlow
        names = [row for row in rows(flavour) if not options.only or any(word in row for word in options.only)]
        print(f"{flavour} {importlib.import_module(flavour).__version__}", flush=True)
        print("\n".join(f"{row:50} its package is not installed" for row in names if absent(row)))
        there = [row for row in names if not absent(row)]
        if options.list:
            print("\n".join(there))
            continue
        done = []
        for row in sweep(flavour, options.precision, there, prepare):
            done.append(row)
            print(f"{text(row)}; time {row.detail('time')}", flush=True)
        faulty += sum(bool(row.faults) for row in done)
        print(summary(flavour, done))
        if options.markdown:
            print(markdown(flavour, importlib.import_module(flavour).__version__, done))
    return int(faulty > 0)


if __name__ == "__main__":
    sys.exit(main())
