"""The reference models: BatchNorms before and left, and CPU seconds of a fold, in both Kerases.

    python benchmarks/models.py                  every model and every size of YOLO11, with random statistics
    python benchmarks/models.py --only yolo11    the rows whose name holds a word
    python benchmarks/models.py --markdown       the table of docs/models.md
    python benchmarks/models.py --files          the .tflite files of both Kerases against stock's: half an hour or more
    python benchmarks/models.py --files --results FILE --keras keras     keeps each row, and goes on where it was

Random gammas have both signs, so that nothing folds by luck. With --files inputs are small ones, means and variances
are those of the network's own signals, and `against_stock` says what the columns are. YOLO11 n stands for its sizes.

The exit code is 1 if more BatchNorms are left than `LEFT` says, or folding takes more than 15 s; with --files also if
the verifier says no to a float32 file, int8 is more than 0.3 dB below stock's, by the mean of other draws where the
first is, or ours is slower: the lower quartile of the time is above 1.03 of stock's.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from against_stock import COLUMNS, Cell, faults_of, keep, kept, measured_rows, shown, texts
from against_stock import measured as measured_files
from files import our_file, stock_file
from fitted import fit_norms, signals
from guarded import Work
from judged_model import DRAWS, SLACK_DB, draw, predict, run_file, sqnr
from patterns import give_numbers
from rich.console import Console
from rich.table import Table
from trained_networks import Trained

import kerasbn_models
from kerasbn.flavour import NAMES, Flavour
from kerasbn_export import fold
from kerasbn_export.folding.verdict import left

SLOWEST = 15.0
"""CPU seconds that a fold may take."""
LEFT = {
    "resnet1d": "1: the BatchNorm of a shortcut without a convolution",
    "resnet18, pre": "8: the first of each block but one, and the last; their sum has two readers and a ReLU follows",
    "resnet20, pre": "9: the same",
    "resnet50, pre": "16: the same",
}
"""BatchNorms that are not gone, and why."""
NOTHING: Mapping[str, Any] = {}
IMAGE = {"input_shape": (64, 64, 3)}
YOLO = {"input_size": 128, "head": "distances"}
CALIBRATING, JUDGING = 64, 64
"""Samples for int8; no sample is of both."""


@dataclass(frozen=True)
class Row:
    """One reference model.

    Attributes:
        name: The builder, and what is special.
        task: What it is for.
        build: Makes it for a Keras; takes more arguments of the builder.
        small: Arguments for files, None where another size stands for this one.
    """

    name: str
    task: str
    build: Callable[..., Any]
    small: Mapping[str, Any] | None = field(default_factory=dict)


def _row(name: str, task: str, small: Mapping[str, Any] | None = NOTHING, **arguments: Any) -> Row:
    builder = getattr(kerasbn_models, name.partition(",")[0])
    return Row(name, task, lambda flavour, **more: builder(flavour=flavour, **{**arguments, **more}), small)


ROWS = (
    _row("mlp", "classification"),
    _row("digits_cnn", "image classification"),
    _row("resnet20", "image classification"),
    _row("resnet20, pre", "image classification", order="pre"),
    _row("resnet18", "image classification", IMAGE),
    _row("resnet18, pre", "image classification", None, order="pre"),
    _row("resnet50", "image classification", IMAGE),
    _row("resnet50, pre", "image classification", None, order="pre"),
    _row("mobilenet_v2", "image classification", IMAGE),
    _row("unet", "segmentation, medical", {"input_shape": (64, 64, 1), "filters": 16, "depth": 3}),
    _row("fast_scnn", "segmentation, driving", {"input_shape": (128, 256, 3)}),
    *(_row(f"yolo11, {size}", "object detection", YOLO if size == "n" else None, size=size) for size in "nsmlx"),
    _row("ds_cnn", "keyword spotting"),
    _row("crnn", "audio"),
    _row("bn_lstm", "sequences"),
    _row("text_cnn", "text"),
    _row("tcn", "time series, ECG"),
    _row("resnet1d", "time series, ECG"),
)


def main() -> int:
    """Prints the table; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="rows whose name holds this word")
    parser.add_argument("--markdown", action="store_true", help="the table of docs/models.md")
    parser.add_argument("--files", action="store_true", help="the files, in float32 and int8, against stock's")
    parser.add_argument("--keras", choices=NAMES, help="with --files: one Keras only")
    parser.add_argument("--results", type=Path, metavar="FILE", help="with --files: keeps each row")
    arguments = parser.parse_args()
    if arguments.files:
        return print_files(arguments)
    heads = ("builder", "task", "input", "parameters", "BatchNorms", *(f"left, {name}" for name in NAMES), "fold, s")
    table, missed = [], False
    for row in (row for row in ROWS if arguments.only in row.name):
        cells, ok = measured(row)
        table.append(cells)
        missed |= not ok
    print_table(heads, table, arguments.markdown)
    return int(missed)


def measured(row: Row) -> tuple[list[str], bool]:
    """The cells of a row, and whether no more is left than there must be."""
    remaining, seconds, cells = [], [], [row.name, row.task]
    for flavour in NAMES:
        model = give_numbers(row.build(flavour))
        start = time.process_time()
        folded = fold(model)
        seconds.append(time.process_time() - start)
        remaining.append(len(left(folded.verdicts)))
        if flavour == NAMES[0]:
            shape = " x ".join(map(str, model.input_shape[1:]))
            cells += [shape, f"{model.count_params():,}", str(len(folded.verdicts))]
    allowed = int(LEFT.get(row.name, "0").partition(":")[0])
    cells += [*map(str, remaining), f"{max(seconds):.1f}"]
    return cells, max(remaining) <= allowed and max(seconds) <= SLOWEST


def print_files(arguments: argparse.Namespace) -> int:
    """Prints the table of the files; 1 if there is a fault."""
    done = kept(arguments.results)
    names = [row.name for row in ROWS if row.small is not None and arguments.only in row.name]
    flavours = [arguments.keras] if arguments.keras else NAMES
    for flavour in flavours:
        new = [name for name in names if (name, flavour) not in done]
        for name, cells in measured_rows(prepare, (flavour,), new):
            done[name, flavour] = cells
            keep(arguments.results, name, flavour, cells)
    rows = [(name, flavour) for name in names for flavour in flavours if (name, flavour) in done]
    columns = [column for column in COLUMNS if column != "number"]
    table = [[*row, *texts(done[row], columns)] for row in rows]
    print_table(("builder", "Keras", *(COLUMNS[column] for column in columns)), table, arguments.markdown)
    faults = [fault for row in rows for fault in faults_of(*row, done[row])]
    print("\n".join(faults))
    return int(bool(faults))


def prepare(flavour: str) -> Work:
    """What a child process does with a row."""

    def work(name: str) -> Iterator[Cell]:
        row = next(row for row in ROWS if row.name == name)
        for cell in measured_files(with_signals(row, flavour), int(LEFT.get(name, "0").partition(":")[0])):
            yield drawn_again(row, flavour) if cell.column == "sqnr" and cell.fault else cell

    return work


def drawn_again(row: Row, flavour: str) -> Cell:
    """The int8 noise of other draws, in the mean: of random numbers one draw below stock's is chance."""
    noise = np.array([int8_noise(with_signals(row, flavour, seed)) for seed in range(1, DRAWS + 1)])
    gains = noise[:, 1] - noise[:, 0]
    below = gains.mean() + gains.std(ddof=1) / DRAWS**0.5 < -SLACK_DB
    text = shown(noise.mean(0), "{:.1f}")
    return Cell("sqnr", f"{text} ({DRAWS} draws)", f"int8 below stock: {text} dB" if below else "")


def int8_noise(network: Trained) -> list[float]:
    """The SQNR of the stock converter's int8 file and of ours."""
    exact = predict(network.model, [network.x])
    with tempfile.TemporaryDirectory() as folder:
        pairs = ((stock_file, network.stock), (our_file, network.model))
        files = [
            write(model, Path(folder, f"{write.__name__}.tflite"), calibration=network.calibration)
            for write, model in pairs
        ]
        return [sqnr(exact, run_file(path, [network.x])) for path in files]


def with_signals(row: Row, flavour: str, seed: int = 0) -> Trained:
    """The small network with gammas of both signs, and means and variances of its own signals; the same as stock's."""
    Flavour(flavour).keras.utils.set_random_seed(seed)
    model = row.build(flavour, **row.small or {})
    fit_norms(model, draw(model, 16, 3 * seed)[0], signals(np.random.default_rng(seed)))
    stock = row.build(flavour, norm=Flavour(flavour).keras.layers.BatchNormalization, **row.small or {})
    stock.set_weights(model.get_weights())
    return Trained(
        model, stock, *(draw(model, count, 3 * seed + n)[0] for n, count in ((1, CALIBRATING), (2, JUDGING)))
    )


def print_table(heads: tuple[str, ...], rows: list[list[str]], markdown: bool) -> None:
    """The rows for the terminal or for a page."""
    if markdown:
        print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
        print("\n".join(f"| {' | '.join(row)} |" for row in rows))
        return
    table = Table(*heads)
    for row in rows:
        table.add_row(*row)
    Console(width=150).print(table)


if __name__ == "__main__":
    sys.exit(main())
