"""The reference models: BatchNorms before and left, and CPU seconds of a fold, in both Kerases.

    python benchmarks/models.py                  every model and every size of YOLO11, with random statistics
    python benchmarks/models.py --only yolo11    the rows whose name holds a word
    python benchmarks/models.py --markdown       the table of docs/models.md

Random gammas have both signs, so that nothing folds by luck. The exit code is 1 if more BatchNorms are left than
`LEFT` says, or folding takes more than 15 s.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from patterns import give_numbers
from rich.console import Console
from rich.table import Table

import kerasbn_models
from kerasbn.flavour import NAMES
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


@dataclass(frozen=True)
class Row:
    """One reference model.

    Attributes:
        name: The builder, and what is special.
        task: What it is for.
        build: Makes it for a Keras.
    """

    name: str
    task: str
    build: Callable[[str], Any]


def _row(name: str, task: str, **arguments: Any) -> Row:
    builder = getattr(kerasbn_models, name.partition(",")[0])
    return Row(name, task, lambda flavour: builder(flavour=flavour, **arguments))


ROWS = (
    _row("mlp", "classification"),
    _row("digits_cnn", "image classification"),
    _row("resnet20", "image classification"),
    _row("resnet20, pre", "image classification", order="pre"),
    _row("resnet18", "image classification"),
    _row("resnet18, pre", "image classification", order="pre"),
    _row("resnet50", "image classification"),
    _row("resnet50, pre", "image classification", order="pre"),
    _row("mobilenet_v2", "image classification"),
    _row("unet", "segmentation, medical"),
    _row("fast_scnn", "segmentation, driving"),
    *(_row(f"yolo11, {size}", "object detection", size=size) for size in "nsmlx"),
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
    arguments = parser.parse_args()
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
