"""Known networks and our models with random BatchNorm statistics: what folds, how exactly, how fast the file is.

They are those of keras.applications and `reparameterized`.

    python benchmarks/applications.py --fold             folding and equality only: minutes for all, both Kerases
    python benchmarks/applications.py                    and both .tflite files: operations, latency ratio
    python benchmarks/applications.py --precision int8 --only ResNet50V2 --keras keras
    python benchmarks/applications.py --files FOLDER     keeps the files there; a second run measures those
    python benchmarks/applications.py --seed 1           other weights and statistics
    python benchmarks/applications.py --precision int8 --draws 4       SQNR over four of them, from --seed on

"tolerance" is the smallest part of the largest output within which the folded Keras model agrees with the original.
The latency ratio is ours over stock's, interleaved, one thread; SQNR is against the Keras model, in dB, on samples that
did not calibrate. Of several draws it is the mean, with ours over stock's and its standard error beside it: which way a
weight at half a step of int8 is rounded is chance, and in a deep random network worth half a decibel.

The exit code is 1 if a tolerance is above 2e-5 and the folded model is the wrong side by float64, a ratio above 1.02,
our file has more operations, an SQNR is lower by more than 0.3 dB (of several draws their mean, by more than its
standard error on top), or a BatchNorm is left that costs more than one operation.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import statistics
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from block_models import samples
from blocks import signal_to_noise
from files import our_file, stock_file
from fitted import fit_norms
from reparameterized import REPARAMETERIZED
from rich.console import Console
from rich.table import Table

import kerasbn_models
from kerasbn.flavour import NAMES, Flavour
from kerasbn_export import fold, verify
from kerasbn_export.benchmark.latency import compare_latency
from kerasbn_export.tflite.file import read_ops

SIZES = {
    "MobileNet": 64,
    "MobileNetV2": 64,
    "MobileNetV3Small": 64,
    "ResNet50": 64,
    "ResNet50V2": 64,
    "DenseNet121": 64,
    "EfficientNetB0": 64,
    "NASNetMobile": 64,
    "InceptionV3": 96,
    "Xception": 96,
    "RepViT_M09": 64,
    "MobileOne_S0": 64,
}
REFERENCE = ("digits_cnn", "mlp")
"""Those of `kerasbn_models`."""
TOLERANCE, WORST, SLACK_DB = 2e-5, 1.02, 0.3
SAMPLES = 64
"""For the accuracy of int8; fewer are too few to tell two files of a deep network apart."""
BATCH = 16
"""Images that the statistics are made to fit."""
HEADINGS = (
    "network",
    "Keras",
    "BNs",
    "folded",
    "lowered",
    "kept",
    "tolerance",
    "ops",
    "latency ratio",
    "quartiles",
    "SQNR, dB",
    "",
)


@dataclass(frozen=True)
class Row:
    """One network in one Keras; what was not measured is None."""

    network: str
    keras: str
    actions: Counter[str]
    most: int
    tolerance: float
    right: bool
    ops: tuple[int, int] | None = None
    ratio: float | None = None
    quartiles: tuple[float, float] | None = None
    sqnr: tuple[tuple[float, float], ...] = ()

    @property
    def gain(self) -> tuple[float, float]:
        """By how much our SQNR is higher, on the average over the draws, and the standard error of that."""
        gains = [ours - stock for stock, ours in self.sqnr]
        error = statistics.stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else 0.0
        return statistics.fmean(gains), error

    @property
    def faults(self) -> list[str]:
        """What misses its target."""
        found = {
            "differs": not self.right,
            "two operations left": self.most > 1,
            "slower": self.ratio is not None and self.ratio > WORST,
            "more operations": self.ops is not None and self.ops[1] > self.ops[0],
            "coarser": bool(self.sqnr) and sum(self.gain) < -SLACK_DB,
        }
        return [fault for fault, there in found.items() if there]

    def cells(self) -> list[str]:
        """For the table."""
        gone = self.actions["folded"] + self.actions["merged"]
        counts = [str(n) for n in (self.actions.total(), gone, self.actions["lowered"], self.actions["kept"])]
        ops = "{} -> {}".format(*self.ops) if self.ops else "-"
        ratio = f"{self.ratio:.3f}" if self.ratio else "-"
        spread = "{:.2f} to {:.2f}".format(*self.quartiles) if self.quartiles else "-"
        sqnr = "{:.1f} -> {:.1f}".format(*map(statistics.fmean, zip(*self.sqnr, strict=True))) if self.sqnr else "-"
        sqnr += " ({:+.2f} ± {:.2f})".format(*self.gain) if len(self.sqnr) > 1 else ""
        measured = [f"{self.tolerance:.1e}", ops, ratio, spread, sqnr]
        return [self.network, self.keras, *counts, *measured, ", ".join(self.faults)]


def main() -> int:
    """Prints the table; 0 if every target is reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", choices=NAMES)
    parser.add_argument(
        "--only", choices=[*SIZES, *REFERENCE], nargs="+", default=[*SIZES, *REFERENCE], metavar="NETWORK"
    )
    parser.add_argument("--fold", action="store_true", help="no conversion")
    parser.add_argument("--precision", choices=["float32", "int8"], default="float32")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="which weights and statistics")
    parser.add_argument("--draws", type=int, default=1, help="for SQNR alone, each with the next seed")
    parser.add_argument("--files", type=Path, metavar="FOLDER", help="keep both files there, and take what is there")
    arguments = parser.parse_args()
    rows = []
    for network in arguments.only:
        for name in [arguments.keras] if arguments.keras else NAMES:
            rows.append(measured(network, Flavour(name), arguments))
            print(f"\r{network} {name}        ", end="", file=sys.stderr, flush=True)
    return report(rows, "" if arguments.fold else arguments.precision)


def measured(network: str, flavour: Flavour, arguments: argparse.Namespace) -> Row:
    """One row."""
    model = drawn(network, flavour, arguments.seed)
    folded = fold(model)
    actions = Counter(verdict.action.value for verdict in folded.verdicts)
    most = max((verdict.ops_after for verdict in folded.verdicts), default=0)
    inputs = samples(model, 2, seed=2)
    expected, actual = (np.asarray(each(inputs)) for each in (model, folded.model))
    tolerance = float(np.max(np.abs(actual - expected)) / np.max(np.abs(expected)))
    right = tolerance <= TOLERANCE or bool(verify(model, folded.model, samples=2))
    row = Row(network, flavour.name, actions, most, tolerance, right)
    return row if arguments.fold else converted(row, model, arguments)


def drawn(network: str, flavour: Flavour, seed: int) -> Any:
    """The network with the weights and statistics of a seed."""
    flavour.keras.backend.clear_session()
    return give_statistics(build(network, flavour, seed), seed)


def converted(row: Row, model: Any, arguments: argparse.Namespace) -> Row:
    """The row with what both files say, and those of further draws."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.files or Path(scratch)
        files = both_files(row, model, folder, arguments.precision, arguments.seed)
        ours = compare_latency(files, rounds=arguments.rounds)[1]
        ops = (sum(read_ops(files[0]).values()), sum(read_ops(files[1]).values()))
        row = replace(row, ops=ops, ratio=ours.ratio, quartiles=ours.spread)
        if arguments.precision != "int8":
            return row
        sqnr = [sqnrs(model, files)]
        for seed in range(arguments.seed + 1, arguments.seed + arguments.draws):
            model = drawn(row.network, Flavour(row.keras), seed)
            sqnr.append(sqnrs(model, both_files(row, model, folder, arguments.precision, seed)))
    return replace(row, sqnr=tuple(sqnr))


def sqnrs(model: Any, files: list[Path]) -> tuple[float, float]:
    """That of both files."""
    return signal_to_noise(model, files[0], SAMPLES), signal_to_noise(model, files[1], SAMPLES)


def both_files(row: Row, model: Any, folder: Path, precision: str, seed: int) -> list[Path]:
    """The stock converter's and ours, unless they are in the folder already."""
    folder.mkdir(parents=True, exist_ok=True)
    calibration = samples(model, 8, seed=1) if precision == "int8" else None
    draw = f"-{seed}" if seed else ""
    name = f"{row.network}-{row.keras}-{precision}{draw}"
    files = [folder / f"{name}-{by}.tflite" for by in ("stock", "ours")]
    for write, path in zip((stock_file, our_file), files, strict=True):
        if not path.exists():
            write(model, path, calibration=calibration)
    return files


def build(network: str, flavour: Flavour, seed: int = 0) -> Any:
    """The network with the random weights of a seed, its outputs before the softmax, which hides differences."""
    flavour.keras.utils.set_random_seed(seed)
    if network in REFERENCE:
        return getattr(kerasbn_models, network)(flavour.name)
    if network in REPARAMETERIZED:
        return REPARAMETERIZED[network](flavour.keras, SIZES[network], classes=10)
    shape = (SIZES[network], SIZES[network], 3)
    builder = getattr(flavour.keras.applications, network)
    return builder(weights=None, input_shape=shape, classes=10, classifier_activation=None, **extra(network))


def extra(network: str) -> dict[str, Any]:
    """What only some builders accept."""
    return {"include_preprocessing": True} if network == "MobileNetV3Small" else {}


def give_statistics(model: Any, seed: int = 0) -> Any:
    """Random gammas, one in ten negative, and betas; means and variances that fit the signals of random images.

    A variance is about what a channel's square is on the average, and its mean a fifth of the root of that. With
    statistics out of the air outputs do not depend on inputs any more (MobileNet's were the same in every digit); with
    those of a batch they do too much: a random network with BatchNorm makes 1.2 times of a difference in every layer.
    """
    rng = np.random.default_rng(seed)
    offsets = rng.normal(size=(BATCH, *(1 for _ in model.input_shape[1:-1]), model.input_shape[-1]))
    images = (rng.normal(size=(BATCH, *model.input_shape[1:])) + offsets).astype("float32")
    return fit_norms(model, images, lambda values: about(values, rng))


def about(values: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The weights of a BatchNorm for what enters it: see `give_statistics`."""
    square = np.maximum(np.square(values).mean(tuple(range(values.ndim - 1))), 1e-6)
    signs = np.where(rng.random(square.shape) < 0.1, -1, 1)
    return {
        "gamma": rng.uniform(0.5, 1.5, square.shape) * signs,
        "beta": rng.normal(0, 0.2, square.shape),
        "moving_mean": rng.normal(0, 0.2, square.shape) * np.sqrt(square),
        "moving_variance": square * 10 ** rng.uniform(-0.4, 0.4, square.shape),
    }


def report(rows: list[Row], precision: str) -> int:
    """Prints the table; 1 if a target is missed."""
    table = Table(title=f"Known networks, random statistics{precision and ', ' + precision}")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in ("network", "Keras", "") else "right")
    for row in rows:
        table.add_row(*row.cells(), style="red" if row.faults else None)
    print(file=sys.stderr)
    Console(width=160).print(table)
    return int(any(row.faults for row in rows))


if __name__ == "__main__":
    sys.exit(main())
