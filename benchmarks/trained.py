"""Networks that others trained: what folds, and how float32 and int8 files do against the stock converter's.

    python benchmarks/trained.py --corpus FOLDER --nsfwjs FOLDER       every network that is there, both Kerases
    python benchmarks/trained.py tf_keras --only CREPE                 the rows whose name holds a word
    python benchmarks/trained.py --list                                the rows, their licences, and how to get them
    python benchmarks/trained.py --markdown                            the table of docs/models.md

A network whose package or folder is absent is left out by name. Difference is the largest of our float32 file, as a
part of the largest output. The number is the task's, of the float model, the stock converter's int8 file and ours, on
samples that did not calibrate. SQNR is that of both int8 files against the float model, in dB. Times are ours over
stock's, interleaved, one thread.

The exit code is 1 if more BatchNorms are left than `LEFT` says, the verifier says no to our float32 file, ours is
slower than 1.03 of stock's, or our int8 file is more than 0.3 dB below stock's.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from files import our_file, stock_file
from guarded import Died, Work, run_guarded
from judged_model import SLACK_DB, distance, run_file, sqnr
from models import print_table
from trained_networks import SOURCES, Absent, Folders, Source, Trained

from kerasbn.errors import KerasBNError
from kerasbn.flavour import NAMES
from kerasbn_export import fold, verify
from kerasbn_export.benchmark.latency import compare_latency
from kerasbn_export.folding.verdict import left
from kerasbn_export.tflite.file import read_tflite

SLOWEST, ROUNDS, VERIFIED = 1.03, 30, 8
PRECISIONS = ("float32", "int8")
LEFT = {
    "CREPE tiny": "5: each between a ReLU and a max pooling before a padded convolution; one operation stays of each",
    "CREPE full": "5: the same, and some of its gammas are negative, which no max pooling lets through",
}
"""BatchNorms that are not gone, and why."""
COLUMNS = {
    "BatchNorms": "BatchNorms, left",
    "difference": "float32 difference",
    "operations": "operations: stock, ours",
    "number": "number: float, int8 stock, int8 ours",
    "sqnr": "SQNR, dB: stock, ours",
    "time float32": "time, float32",
    "time int8": "time, int8",
}
"""What a row is made of, and its heading."""


@dataclass(frozen=True)
class Cell:
    """One cell of a row.

    Attributes:
        column: A key of `COLUMNS`.
        text: What it says.
        fault: What is wrong; empty if nothing.
    """

    column: str
    text: str
    fault: str = ""


def main() -> int:
    """Prints the table; 1 if there is a fault."""
    arguments = parsed()
    if arguments.list:
        for source in SOURCES.values():
            print(f"{source.name:30} {source.licence:14} {', '.join(source.flavours)}")
        return 0
    rows, faults = [], []
    for flavour in [arguments.keras] if arguments.keras else NAMES:
        names = [source.name for source in SOURCES.values() if wanted(source, flavour, arguments.only)]
        folders = Folders(arguments.corpus, arguments.nsfwjs)
        for name, cells in measured_rows(flavour, folders, names):
            faults += [f"{name}, {flavour}: {cell.fault}" for cell in cells if cell.fault]
            rows.append([name, flavour, *texts(cells)])
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    print_table(("network", "Keras", *COLUMNS.values()), rows, arguments.markdown)
    print("\n".join(faults))
    return int(bool(faults))


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("keras", nargs="?", choices=NAMES, help="one Keras only")
    parser.add_argument("--only", default="", help="rows whose name holds this word")
    parser.add_argument("--corpus", type=Path, metavar="FOLDER", help="with ad01.h5 and resnet8.h5 of MLPerf Tiny")
    parser.add_argument("--nsfwjs", type=Path, metavar="FOLDER", help="the unpacked npm package nsfwjs")
    parser.add_argument("--markdown", action="store_true", help="the table of docs/models.md")
    parser.add_argument("--list", action="store_true", help="the rows, and no more")
    return parser.parse_args()


def wanted(source: Source, flavour: str, word: str) -> bool:
    """Whether the row is asked for."""
    return flavour in source.flavours and word.lower() in source.name.lower()


def measured_rows(flavour: str, folders: Folders, names: Sequence[str]) -> Iterator[tuple[str, list[Cell]]]:
    """Each network with its cells; those that are absent are named and left out."""
    found: dict[str, list[Cell]] = {}
    for name, thing in run_guarded(prepare, (flavour, folders), names):
        if isinstance(thing, Absent):
            print(f"left out: {name}: {thing}", file=sys.stderr)
        else:
            cell = Cell("number", "died", thing) if isinstance(thing, Died) else thing
            found.setdefault(name, []).append(cell)
    yield from found.items()


def prepare(flavour: str, folders: Folders) -> Work:
    """What a child process does with a row."""

    def work(name: str) -> Iterator[Cell | Absent]:
        try:
            network = SOURCES[name].build(flavour, folders)
        except Absent as absent:
            yield absent
            return
        yield from measured(network, int(LEFT.get(name, "0").partition(":")[0]))

    return work


def measured(network: Trained, allowed: int = 0) -> Iterator[Cell]:
    """The cells of a row, the quick ones first; more BatchNorms left than allowed are a fault."""
    verdicts = fold(network.model).verdicts
    remaining = len(left(verdicts))
    fault = f"{remaining} BatchNorms left" if remaining > allowed else ""
    yield Cell("BatchNorms", f"{len(verdicts)}, {remaining}", fault)
    outputs = np.asarray(network.model.predict(network.x, verbose=0))
    with tempfile.TemporaryDirectory() as folder:
        for precision in PRECISIONS:
            files = [Path(folder, f"{precision}-{by}.tflite") for by in ("stock", "ours")]
            try:
                write(network, files, None if precision == "float32" else network.calibration)
            except KerasBNError as error:
                yield Cell(f"time {precision}", "refused", str(error))
                continue
            yield from against_stock(network, outputs, files, precision)


def write(network: Trained, files: list[Path], calibration: np.ndarray | None) -> None:
    """Both files; stock's stays unwritten where the stock converter fails."""
    our_file(network.model, files[1], calibration=calibration)
    try:
        stock_file(network.stock, files[0], calibration=calibration)
    except KerasBNError:
        files[0].unlink(missing_ok=True)


def against_stock(network: Trained, outputs: np.ndarray, files: list[Path], precision: str) -> Iterator[Cell]:
    """What the two files of a precision say."""
    there = [path if path.exists() else None for path in files]
    judge = float32_cells if precision == "float32" else int8_cells
    yield from judge(network, outputs, there)
    if there[0] is not None:
        ratio = compare_latency(files, rounds=ROUNDS)[1].ratio
        yield Cell(f"time {precision}", f"{ratio:.2f}", f"{precision} {ratio:.2f} of stock" if ratio > SLOWEST else "")


def float32_cells(network: Trained, outputs: np.ndarray, files: list[Path | None]) -> Iterator[Cell]:
    """Difference and operations."""
    ours = run_file(files[1], [network.x])  # type: ignore[arg-type]  # ours is always there
    judged = verify(network.model, files[1], data=network.x[:VERIFIED])
    yield Cell("difference", f"{distance([outputs], ours):.0e}", "" if judged else f"the verifier says: {judged.verdict}")
    yield Cell("operations", ", ".join("-" if path is None else str(len(read_tflite(path).ops)) for path in files))


def int8_cells(network: Trained, outputs: np.ndarray, files: list[Path | None]) -> Iterator[Cell]:
    """The task's number and SQNR."""
    found = [None if path is None else run_file(path, [network.x]) for path in files]
    noise = [None if each is None else sqnr([outputs], each) for each in found]
    judge = partial(network.score, outputs)
    numbers = [judge(outputs), *(None if each is None else judge(each[0]) for each in found)]
    yield Cell("number", f"{shown(numbers, '{:.3f}')} ({network.metric})")
    below = noise[0] is not None and noise[1] < noise[0] - SLACK_DB  # type: ignore[operator]
    yield Cell("sqnr", shown(noise, "{:.1f}"), f"int8 below stock: {shown(noise, '{:.1f}')} dB" if below else "")


def shown(numbers: Sequence[Any], form: str) -> str:
    """Numbers with commas between; what there is not is a dash."""
    return ", ".join("-" if number is None else form.format(number) for number in numbers)


def texts(cells: Sequence[Cell]) -> list[str]:
    """The cells in the order of the columns; a dash where there is none."""
    by_column = {cell.column: cell.text for cell in cells}
    return [by_column.get(column, "-") for column in COLUMNS]


if __name__ == "__main__":
    sys.exit(main())
