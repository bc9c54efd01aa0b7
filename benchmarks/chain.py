"""One chain of five Conv-ReLU-BatchNorm, ours against the stock .tflite, and what a microcontroller makes of both.

    python benchmarks/chain.py                 both Kerases, float32 and int8
    python benchmarks/chain.py --spread 10     kernels of channels that differ by up to 10 times 10

The stock converter leaves all five BatchNorms, since a ReLU comes before each. The latency ratio is ours over stock's,
interleaved, one thread; SQNR is against the Keras model, on samples that did not calibrate; the arena is what
``tflite-micro`` measures, and "same bits" whether its int8 outputs are those of LiteRT's reference kernels, for every
file. "whole, forward" is the SQNR of the model folded for float32, every BatchNorm into the convolution behind it, and
converted by the stock converter: what it is worth that magnitudes go backward. The exit code is 1 if int8 gains less
than 9 dB, a latency ratio is above 0.70, ours has more than half of stock's operations, or a bit differs.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from block_models import samples
from blocks import signal_to_noise
from files import our_file, stock_file
from fitted import fit_statistics
from micro_identity import differing_bits
from patterns import give_numbers
from rich.console import Console
from rich.table import Table

from kerasbn.flavour import NAMES, Flavour
from kerasbn_export import fold
from kerasbn_export.benchmark.latency import compare_latency
from kerasbn_export.devices.micro import run_micro
from kerasbn_export.devices.optional_package import TFLITE_MICRO
from kerasbn_export.tflite.file import read_ops

GAIN_DB, SLOWEST, MOST_OPS = 9.0, 0.70, 0.5
HEADINGS = (
    *("Keras", "precision", "latency ratio", "quartiles", "ops", "SQNR, dB", "whole, forward"),
    *("arena, bytes", "same bits", ""),
)


def main() -> int:
    """Prints the table; 0 if every target is reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", choices=NAMES)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--spread", type=float, default=1.0, help="of the channels of each kernel, both ways")
    arguments = parser.parse_args()
    table = Table(*HEADINGS)
    missed = False
    for name in [arguments.keras] if arguments.keras else NAMES:
        for precision in ("float32", "int8"):
            cells, faults = measured(Flavour(name), precision, arguments)
            table.add_row(name, precision, *cells, ", ".join(faults))
            missed |= bool(faults)
    Console(width=150).print(table)
    return int(missed)


def measured(flavour: Flavour, precision: str, arguments: argparse.Namespace) -> tuple[list[str], list[str]]:
    """The cells of one row, and what misses its target."""
    flavour.keras.backend.clear_session()
    flavour.keras.utils.set_random_seed(0)
    model = fit_statistics(uneven(give_numbers(chain(flavour), "+"), arguments.spread))
    calibration = samples(model, 32, seed=1) if precision == "int8" else None
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, "stock.tflite"), Path(folder, "ours.tflite")]
        stock_file(model, files[0], calibration=calibration)
        our_file(model, files[1], calibration=calibration)
        latency = compare_latency(files, rounds=arguments.rounds)[1]
        whole = "-"
        if precision == "int8":
            forward = stock_file(fold(model).model, Path(folder, "forward.tflite"), calibration=calibration)
            whole = f"{signal_to_noise(model, forward):.1f}"
        ops = [sum(read_ops(file).values()) for file in files]
        sqnr = [signal_to_noise(model, file) for file in files]
        contents = [with_fixed_batch(model, files[0], calibration), files[1].read_bytes()]
    arenas, wrong = micro(contents, precision)
    faults = {
        "slow": latency.ratio > SLOWEST,
        "operations": ops[1] > MOST_OPS * ops[0],
        "coarse": precision == "int8" and sqnr[1] < sqnr[0] + GAIN_DB,
        "bits": bool(wrong),
    }
    cells = [f"{latency.ratio:.3f}", "{:.2f} to {:.2f}".format(*latency.spread), f"{ops[0]} -> {ops[1]}"]
    bits = "-" if wrong is None else str(not wrong)
    decibels = [f"{sqnr[0]:.1f} -> {sqnr[1]:.1f}", whole]
    return [*cells, *decibels, arenas, bits], [name for name, there in faults.items() if there]


def uneven(model: Any, spread: float) -> Any:
    """The model with every output channel of a convolution scaled, log-uniformly from ``1/spread`` to ``spread``."""
    rng, reach = np.random.default_rng(0), np.log10(spread)
    for layer in model.layers:
        if "Conv2D" in type(layer).__name__:
            kernel, bias = layer.get_weights()
            factors = 10 ** rng.uniform(-reach, reach, bias.shape)
            layer.set_weights([kernel * factors, bias * factors])
    return model


def with_fixed_batch(model: Any, stock: Path, calibration: Any) -> bytes:
    """Stock's file for TFLite Micro, which has no open batch: the same conversion of the model with its batch fixed."""
    our_file(model, stock, calibration=calibration, fold=False)
    return stock.read_bytes()


def micro(contents: list[bytes], precision: str) -> tuple[str, int | None]:
    """Both arenas, and in int8 the outputs that differ from the reference kernels'; unknown without the package."""
    if TFLITE_MICRO.tool is None:
        return "-", None
    arenas = [run_micro(content).arena_bytes for content in contents]
    wrong = sum(differing_bits(content) for content in contents) if precision == "int8" else None
    return "{:,} -> {:,}".format(*arenas), wrong


def chain(flavour: Flavour) -> Any:
    """Conv-ReLU-BN, four times 1x1 Conv-ReLU-BN, GlobalAveragePooling, Dense."""
    layers = flavour.keras.layers
    image = x = flavour.keras.Input((32, 32, 3))
    for size in (3, 1, 1, 1, 1):
        x = layers.BatchNormalization()(layers.Conv2D(16, size, activation="relu")(x))
    return flavour.keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


if __name__ == "__main__":
    sys.exit(main())
