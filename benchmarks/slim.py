"""What slimming saves where part of the gammas of a ResNet and a MobileNet are zero: files with and without channels.

    python benchmarks/slim.py                            both networks, both Kerases
    python benchmarks/slim.py --only resnet20 --keras keras --zeros 0.5 --precision int8

All ratios are the slimmed file's number over the whole file's: weights, bytes, multiplications, time. Times come from
one interleaved run of one thread. The difference is the largest one to the Keras model, of its largest output, over 8
random inputs. Gammas are set to zero at random; the other numbers of the BatchNorms are random, too. The exit code is 1
if a file in float32 differs by more than 1e-5, or is not smaller and faster.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from kerasbn.flavour import NAMES
from kerasbn.statistics.layers import batchnorms
from kerasbn_export import export_tflite, remove_constant_channels, verify
from kerasbn_export.algebra.linear import LINEAR
from kerasbn_export.benchmark.latency import compare_latency
from kerasbn_export.capture import capture
from kerasbn_export.slim.records import SlimResult
from kerasbn_models import mobilenet_v2, resnet20

LARGEST_DIFFERENCE = 1e-5
NETWORKS: dict[str, Callable[[str], Any]] = {
    "resnet20": lambda flavour: resnet20(flavour),
    "resnet20, pre": lambda flavour: resnet20(flavour, order="pre"),
    "mobilenet_v2": lambda flavour: mobilenet_v2(flavour, input_shape=(96, 96, 3), classes=10),
}
HEADINGS = ("network", "Keras", "channels", "silent", "removed", "weights", "bytes", "products", "time", "quartiles")
SAMPLES = 8


def silenced(model: Any, zeros: float, rng: np.random.Generator) -> Any:
    """The model with random numbers in its BatchNorms, part of the gammas zero."""
    for layer in (found.layer for found in batchnorms(model)):
        size = int(layer.gamma.shape[0])
        numbers = {
            "gamma": np.where(rng.random(size) < zeros, 0.0, rng.uniform(0.5, 1.5, size)),
            "beta": rng.normal(0, 0.3, size),
            "moving_mean": rng.normal(0, 0.3, size),
            "moving_variance": rng.uniform(0.5, 2.0, size),
        }
        for name, values in numbers.items():
            getattr(layer, name).assign(values.astype("float32"))
    return model


def products(model: Any) -> int:
    """Multiplications of the linear layers for one sample."""
    calls = [call for call in capture(model) if call.layer.kind in LINEAR]
    return sum(_kernels(call.layer.weights) * _positions(call.output.shape) for call in calls)


def _kernels(weights: dict[str, np.ndarray]) -> int:
    return sum(array.size for name, array in weights.items() if name != "bias")


def _positions(shape: Any) -> int:
    return int(np.prod([int(size or 1) for size in shape[1:-1]]))


def difference(model: Any, path: Path, rng: np.random.Generator) -> float:
    """The largest difference of the file to the model, of the model's largest output."""
    inputs = rng.normal(size=(SAMPLES, *model.inputs[0].shape[1:])).astype("float32")
    return verify(model, path, data=inputs, layers=False).required_tolerance


def row(name: str, flavour: str, options: argparse.Namespace, folder: Path) -> tuple[list[str], list[str]]:
    """The cells of one network, and its faults."""
    rng = np.random.default_rng(options.seed)
    model = silenced(NETWORKS[name](flavour), options.zeros, rng)
    result = remove_constant_channels(model)
    samples = rng.normal(size=(32, *model.inputs[0].shape[1:])).astype("float32")
    given = {"precision": options.precision, "calibration": samples if options.precision == "int8" else None}
    paths = [folder / f"{kind}.tflite" for kind in ("whole", "slim")]
    whole, slim = (export_tflite(model, path, slim=path.stem == "slim", **given) for path in paths)
    _, latency = compare_latency(paths, rounds=options.rounds)
    off = difference(model, paths[1], rng)
    faults = [] if slim.bytes < whole.bytes and latency.ratio < 1 else ["not smaller and faster"]
    faults += ["differs"] if options.precision == "float32" and off > LARGEST_DIFFERENCE else []
    ratios = [result.parameters[1] / result.parameters[0], slim.bytes / whole.bytes]
    ratios += [products(result.model) / products(model), latency.ratio]
    quartiles = f"{latency.spread[0]:.2f} to {latency.spread[1]:.2f}"
    cells = [name, flavour, *_counts(result), *(f"{ratio:.2f}" for ratio in ratios), quartiles, f"{off:.1e}"]
    return [*cells, ", ".join(faults)], faults


def _counts(result: SlimResult) -> list[str]:
    names = ("channels", "silent", "removed")
    return [str(sum(getattr(record, name) for record in result.removed)) for name in names]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", choices=NAMES, help="only one Keras")
    parser.add_argument("--only", default="", help="networks with this in their name")
    parser.add_argument("--zeros", type=float, default=0.3, help="the part of the gammas that is zero")
    parser.add_argument("--precision", choices=("float32", "int8"), default="float32")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    table = Table(*HEADINGS, "difference", "", title=f"{options.zeros:.0%} of the gammas are zero, {options.precision}")
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in (name for name in NETWORKS if options.only in name):
            for flavour in NAMES if options.keras is None else (options.keras,):
                cells, faults = row(name, flavour, options, Path(folder))
                table.add_row(*cells)
                wrong += faults
    Console(width=160).print(table)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
