"""One network's float32 and int8 files, ours and the stock converter's, as the cells of a row of a table.

`trained.py` and `models.py --files` print them. Difference is the largest of our float32 file, as a part of the largest
output. The number is the task's, of the float model, the stock converter's int8 file and ours, on samples that did not
calibrate. SQNR is that of both int8 files against the float model, in dB. Times are ours over stock's, interleaved, one
thread.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from files import our_file, stock_file
from guarded import Died, Work, run_guarded
from judged_model import SLACK_DB, Arrays, distance, predict, run_file, sqnr
from trained_networks import Absent, Trained

from kerasbn.errors import KerasBNError
from kerasbn_export import fold, verify
from kerasbn_export.benchmark.latency import compare_latency
from kerasbn_export.folding.verdict import left
from kerasbn_export.tflite.file import read_tflite

SLOWEST, ROUNDS, VERIFIED = 1.03, 30, 8
PRECISIONS = ("float32", "int8")
COLUMNS = {
    "BatchNorms": "BatchNorms, left",
    "difference": "float32 difference",
    "operations": "operations: stock, ours",
    "number": "number: float, int8 stock, int8 ours",
    "sqnr": "int8 SQNR, dB: stock, ours",
    "size": "int8, kB: stock, ours",
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


def measured_rows(
    prepare: Callable[..., Work], arguments: tuple[Any, ...], names: Sequence[str]
) -> Iterator[tuple[str, list[Cell]]]:
    """Each network with its cells, as it is done; those that are absent are named and left out.

    Args:
        prepare: Makes, in a child process, what yields the cells of a name; see `run_guarded`.
        arguments: Its arguments.
        names: Of the networks.
    """
    cells: list[Cell] = []
    for name in names:
        cells = []
        for _, thing in run_guarded(prepare, arguments, [name]):
            if isinstance(thing, Absent):
                print(f"left out: {name}: {thing}", file=sys.stderr, flush=True)
            else:
                cells.append(Cell("number", "died", thing) if isinstance(thing, Died) else thing)
        if cells:
            yield name, cells


def keep(path: Path | None, name: str, flavour: str, cells: Sequence[Cell], columns: Iterable[str] = COLUMNS) -> None:
    """Writes a row behind the others of a file, and to the terminal."""
    print(" | ".join([name, flavour, *texts(cells, columns)]), file=sys.stderr, flush=True)
    if path is not None:
        line = json.dumps({"name": name, "keras": flavour, "cells": [vars(cell) for cell in cells]})
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def kept(path: Path | None) -> dict[tuple[str, str], list[Cell]]:
    """The rows of a file, by network and Keras."""
    lines = path.read_text("utf-8").splitlines() if path and path.exists() else []
    rows = [json.loads(line) for line in lines]
    return {(row["name"], row["keras"]): [Cell(**cell) for cell in row["cells"]] for row in rows}


def faults_of(name: str, flavour: str, cells: Sequence[Cell]) -> list[str]:
    """What is wrong with a row, a line each."""
    return [f"{name}, {flavour}: {cell.fault}" for cell in cells if cell.fault]


def measured(network: Trained, allowed: int = 0) -> Iterator[Cell]:
    """The cells of a row, the quick ones first; more BatchNorms left than allowed are a fault."""
    verdicts = fold(network.model).verdicts
    remaining = len(left(verdicts))
    fault = f"{remaining} BatchNorms left" if remaining > allowed else ""
    yield Cell("BatchNorms", f"{len(verdicts)}, {remaining}", fault)
    outputs = predict(network.model, [network.x])
    with tempfile.TemporaryDirectory() as folder:
        for precision in PRECISIONS:
            files = [Path(folder, f"{precision}-{by}.tflite") for by in ("stock", "ours")]
            calibration = None if precision == "float32" else network.calibration
            written(stock_file, network.stock, files[0], calibration)
            refusal = written(our_file, network.model, files[1], calibration)
            if refusal:
                yield Cell(f"time {precision}", "refused", refusal if files[0].exists() else "")
            else:
                yield from against_stock(network, outputs, files, precision)


def written(write: Callable[..., Path], model: Any, path: Path, calibration: np.ndarray | None) -> str:
    """The reason why there is no file; empty if there is one."""
    try:
        write(model, path, calibration=calibration)
    except KerasBNError as error:
        path.unlink(missing_ok=True)
        return str(error)
    return ""


def against_stock(network: Trained, outputs: Arrays, files: list[Path], precision: str) -> Iterator[Cell]:
    """What the two files of a precision say."""
    there = [path if path.exists() else None for path in files]
    judge = float32_cells if precision == "float32" else int8_cells
    yield from judge(network, outputs, there)
    if there[0] is not None:
        ours = compare_latency(files, rounds=ROUNDS)[1]
        slow = ours.spread[0] > SLOWEST  # the lower quartile: beyond noise
        yield Cell(f"time {precision}", f"{ours.ratio:.2f}", f"{precision} {ours.ratio:.2f} of stock" if slow else "")


def float32_cells(network: Trained, outputs: Arrays, files: list[Path | None]) -> Iterator[Cell]:
    """Difference and operations."""
    ours = run_file(files[1], [network.x])  # type: ignore[arg-type]  # ours is always there
    judged = verify(network.model, files[1], data=network.x[:VERIFIED])
    yield Cell("difference", f"{distance(outputs, ours):.0e}", "" if judged else f"the verifier says: {judged.verdict}")
    yield Cell("operations", ", ".join("-" if path is None else str(len(read_tflite(path).ops)) for path in files))


def int8_cells(network: Trained, outputs: Arrays, files: list[Path | None]) -> Iterator[Cell]:
    """The task's number and SQNR."""
    found = [None if path is None else run_file(path, [network.x]) for path in files]
    noise = [None if each is None else sqnr(outputs, each) for each in found]
    if network.score is not None:
        numbers = [network.score(outputs[0], each[0]) if each else None for each in (outputs, *found)]
        yield Cell("number", f"{shown(numbers, '{:.3f}')} ({network.metric})")
    yield Cell("size", shown([path and path.stat().st_size / 1000 for path in files], "{:,.0f}"))
    below = noise[0] is not None and noise[1] < noise[0] - SLACK_DB  # type: ignore[operator]
    yield Cell("sqnr", shown(noise, "{:.1f}"), f"int8 below stock: {shown(noise, '{:.1f}')} dB" if below else "")


def shown(numbers: Sequence[Any], form: str) -> str:
    """Numbers with commas between; what there is not is a dash."""
    return ", ".join("-" if number is None else form.format(number) for number in numbers)


def texts(cells: Sequence[Cell], columns: Iterable[str] = COLUMNS) -> list[str]:
    """The cells in the order of the columns; a dash where there is none."""
    by_column = {cell.column: cell.text for cell in cells}
    return [by_column.get(column, "-") for column in columns]
