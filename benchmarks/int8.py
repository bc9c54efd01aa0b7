"""int8 with one scale for each channel of a weight, and with one for all of it: what each costs, in dB.

    python benchmarks/int8.py                                      both Kerases; needs scikit-learn
    python benchmarks/int8.py --keras keras --only digits separable
    python benchmarks/int8.py --corpus FOLDER                      with resnet8.h5 of MLPerf Tiny
    python benchmarks/int8.py --corpus FOLDER --nsfwjs FOLDER --only fer "nsfwjs MobileNetV2"    rows of trained.py

The numbers are SQNR in dB against the float model, before any softmax, on samples that no range was measured on.

digits      the network of ``kerasbn demo``, trained on the digits of scikit-learn
separable   depthwise and 1x1 convolutions with BatchNorm and ReLU6, trained on the same digits, four times as large
MobileNetV2 96x96, with random weights and statistics that fit its signals (`applications.give_statistics`)
resnet8     of MLPerf Tiny, on cuts of photographs
others      the networks of `trained.py`, which others trained, on its samples

stock is the TFLite converter's own file, ours is `export_tflite`. The exit code is 1 if a file of ours with one scale
is worse than stock's, or if one with a scale for each channel is.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from applications import build, give_statistics
from calibration import cut, fitted, separable_network
from files import silent
from rich.console import Console
from rich.table import Table
from trained_networks import SOURCES, Folders, Source

from kerasbn.flavour import NAMES, Flavour
from kerasbn_export import export_tflite
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.demo.data import load_digits
from kerasbn_export.demo.task import Lesson
from kerasbn_export.demo.tasks import DIGITS
from kerasbn_export.demo.train import train
from kerasbn_export.export.scoring import scorer
from kerasbn_export.loading.load import load_model

CALIBRATING, JUDGING, SLACK = 100, 200, 0.3
EPOCHS = 8


@dataclass(frozen=True)
class Subject:
    """A network with what ranges are measured on, and what its files are judged by."""

    model: Any
    train: np.ndarray
    test: np.ndarray


def digits(flavour: Flavour) -> Subject:
    """The demo's network on 8x8 digits."""
    split = DIGITS.read(0)
    _, model = train(DIGITS, Lesson(flavour, split, EPOCHS, 0, lambda: None))
    images = load_digits(0)
    return Subject(model, images.train_images, images.test_images)


def separable(flavour: Flavour) -> Subject:
    """A small MobileNet, trained."""
    flavour.keras.utils.set_random_seed(0)
    model = separable_network(flavour, (32, 32, 1), flavour.keras.layers.ReLU(6.0))
    split = load_digits(0)
    train_images, test_images = (images.repeat(4, 1).repeat(4, 2) for images in (split.train_images, split.test_images))
    return Subject(fitted(flavour, model, train_images, split.train_labels, epochs=4), train_images, test_images)


def mobilenet(flavour: Flavour) -> Subject:
    """MobileNetV2 on noise with an offset for each channel of each image, which its statistics fit."""
    model = give_statistics(build("MobileNetV2", flavour))
    rng = np.random.default_rng(5)
    parts = [
        (rng.normal(size=(count, *model.input_shape[1:])) + rng.normal(size=(count, 1, 1, 3))).astype("float32")
        for count in (64, 32)
    ]
    return Subject(model, *parts)


def resnet8(corpus: Path) -> Callable[[Flavour], Subject]:
    """ResNet8 of MLPerf Tiny, inputs from 0 to 255."""

    def read(_: Flavour) -> Subject:
        from sklearn.datasets import load_sample_images

        rng = np.random.default_rng(0)
        cuts = rng.permutation(np.concatenate([cut(image, rng, JUDGING) for image in load_sample_images().images]))
        return Subject(load_model(corpus / "resnet8.h5"), cuts[:JUDGING], cuts[JUDGING:])

    return read


def of_others(source: Source, folders: Folders) -> Callable[[Flavour], Subject]:
    """A network that others trained."""

    def read(flavour: Flavour) -> Subject:
        found = source.build(flavour.name, folders)
        return Subject(found.model, found.calibration, found.x)

    return read


SUBJECTS: dict[str, Callable[[Flavour], Subject]] = {
    "digits": digits,
    "separable": separable,
    "MobileNetV2": mobilenet,
}
FILES: dict[str, dict[str, Any]] = {
    "stock, per channel": {"fold": False},
    "ours, per channel": {},
    "stock, per tensor": {"fold": False, "weights": "per-tensor", "best": False},
    "ours, per tensor": {"weights": "per-tensor"},
}
"""The files and the options of `export_tflite` that make them."""


def main() -> int:
    """Prints the table; 1 if a file of ours is worse than stock's."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--keras", choices=NAMES)
    parser.add_argument("--only", nargs="+", default=[])
    parser.add_argument("--corpus", type=Path, help="the folder with resnet8.h5")
    parser.add_argument("--nsfwjs", type=Path, help="the folder of the unpacked npm package")
    arguments = parser.parse_args()
    subjects = SUBJECTS | ({"resnet8": resnet8(arguments.corpus)} if arguments.corpus else {})
    chosen = arguments.only or list(subjects)
    folders = Folders(arguments.corpus, arguments.nsfwjs)
    subjects |= {name: of_others(source, folders) for name, source in SOURCES.items()}
    kerases = {"resnet8": ("tf_keras",), **{name: source.flavours for name, source in SOURCES.items()}}
    table = Table("network", "Keras", *FILES, "forms of the last", title="int8 SQNR in dB by the scales of weights")
    bad = 0
    for name in chosen:
        for keras in [arguments.keras] if arguments.keras else kerases.get(name, NAMES):
            reached, trials = measure(subjects[name](Flavour(keras)))
            table.add_row(name, keras, *(f"{value:.1f}" for value in reached), trials)
            bad += reached[1] < reached[0] - SLACK or reached[3] < reached[2] - SLACK
    Console(width=160).print(table)
    return int(bool(bad))


def measure(subject: Subject) -> tuple[list[float], str]:
    """The dB of each file, and what was tried for the last."""
    score = scorer(subject.model, Calibration((subject.test[:JUDGING],), "array"))
    reached, result = [], None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "m.tflite")
        for options in FILES.values():
            calibration = subject.train[:CALIBRATING]
            with silent():
                result = export_tflite(subject.model, path, precision="int8", calibration=calibration, **options)
                reached.append(score(path.read_bytes()))
    return reached, "; ".join(map(str, result.trials)) if result else ""


if __name__ == "__main__":
    sys.exit(main())
