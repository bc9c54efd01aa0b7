"""What learned rounding and renewed statistics gain in int8: SQNR, accuracy and minutes beside other files.

    python benchmarks/rounding.py                                digits, separable, mobilenet_v2, in both Kerases
    python benchmarks/rounding.py --corpus DIR --only resnet8    the trained model of a folder, too
    python benchmarks/rounding.py --only separable --keras keras

Columns: the stock converter's file, ours as folded, ours with renewed statistics, the best of the forms, and that with
learned rounding. 500 training samples calibrate, 200 others judge. The accuracy is that of the labels; where there are
none, how often the largest output is the float model's. MobileNetV2 has random weights, and statistics of its own
inputs. Exit code 1 where learned rounding is more than 0.3 dB below the best file without it.
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
from typing import Any

import numpy as np
from calibration import CORPUS, mnist, resnet8, separable
from files import silent, stock_file
from rich.console import Console
from rich.table import Table

from kerasbn import recalibrate
from kerasbn.errors import ConversionError
from kerasbn.flavour import NAMES, Flavour
from kerasbn_export import export_tflite, learn_rounding
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.demo.task import Lesson
from kerasbn_export.demo.tasks import DIGITS
from kerasbn_export.demo.train import train
from kerasbn_export.export.scoring import scorer
from kerasbn_export.rounding.renew import renewed
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner
from kerasbn_models import mobilenet_v2

CALIBRATING, JUDGING = 500, 200
SLACK = 0.3
"""dB by which other samples may disagree with those that judged."""
COLUMNS = ("stock", "as folded", "renewed", "best", "learned rounding")


@dataclass(frozen=True)
class Subject:
    """A network with the samples that calibrate and those that judge, with labels where there are any."""

    model: Any
    train: np.ndarray
    test: np.ndarray
    labels: np.ndarray | None = None
    train_labels: np.ndarray | None = None


def digits(flavour: Flavour) -> Subject:
    """The CNN of the demo."""
    split = DIGITS.read(0)
    _, model = train(DIGITS, Lesson(flavour, split, 12, 0, lambda: None))
    return Subject(model, split.train_x, split.test_x, split.test_y, split.train_y)


def separable_cnn(flavour: Flavour) -> Subject:
    """Depthwise and 1x1 convolutions on MNIST."""
    subject = separable(flavour)
    _, train_labels, _, labels = mnist()
    return Subject(subject.model, subject.train, subject.test, labels, train_labels)


def mobilenet(flavour: Flavour) -> Subject:
    """MobileNetV2 of width 0.35 with random gammas and betas, and the statistics of smooth random images."""
    rng = np.random.default_rng(0)
    model = mobilenet_v2(flavour.name, input_shape=(64, 64, 3), classes=10, alpha=0.35)
    for layer in model.layers:
        if "BatchNormalization" in type(layer).__name__:
            size = int(layer.gamma.shape[0])
            layer.gamma.assign(rng.uniform(0.5, 1.5, size).astype("float32"))
            layer.beta.assign(rng.normal(0, 0.3, size).astype("float32"))
    images = rng.normal(size=(CALIBRATING + JUDGING, 8, 8, 3)).repeat(8, 1).repeat(8, 2)
    images = (images + 0.3 * rng.normal(size=images.shape)).astype("float32")
    recalibrate(model, images[:CALIBRATING], batch_size=100, validation=False)
    return Subject(model, images[:CALIBRATING], images[CALIBRATING:])


def corpus(flavour: Flavour) -> Subject:
    """ResNet8 of MLPerf Tiny on cuts of photographs."""
    subject = resnet8(flavour)
    return Subject(subject.model, subject.train, subject.test)


SUBJECTS: dict[str, Callable[[Flavour], Subject]] = {
    "digits": digits,
    "separable": separable_cnn,
    "mobilenet_v2": mobilenet,
    "resnet8": corpus,
}


def main() -> int:
    """Prints the table; 0 if learned rounding is nowhere below the best file without it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", choices=NAMES)
    parser.add_argument("--only", default="", help="networks with this in their name")
    parser.add_argument("--corpus", metavar="DIR", help="a folder with resnet8.h5")
    arguments = parser.parse_args()
    if arguments.corpus:
        os.environ[CORPUS] = arguments.corpus
    table, missed = Table("network", "Keras", "float", *COLUMNS, title="int8: SQNR dB, accuracy %, minutes"), False
    for name, make in SUBJECTS.items():
        if arguments.only in name and (name != "resnet8" or CORPUS in os.environ):
            for keras in [arguments.keras] if arguments.keras else ["tf_keras"] if name == "resnet8" else NAMES:
                print(f"\r{name} {keras}        ", end="", file=sys.stderr, flush=True)
                missed |= add_row(table, name, Flavour(keras), make)
    print(file=sys.stderr)
    Console(width=170).print(table)
    return int(missed)


def add_row(table: Table, name: str, flavour: Flavour, make: Callable[[Flavour], Subject]) -> bool:
    """Adds one network; whether learned rounding is worse than the best file without it."""
    flavour.keras.backend.clear_session()
    flavour.keras.utils.set_random_seed(0)
    subject = make(flavour)
    score = scorer(subject.model, Calibration((subject.test[:JUDGING],), "array"))
    exact = np.argmax(subject.model.predict(subject.test, verbose=0), -1)
    truth = exact if subject.labels is None else subject.labels
    cells, reached = [], {}
    for column, content, minutes in files(subject):
        if not content:
            cells.append("fails")
            continue
        sqnr, answers = score(content), np.argmax(TFLiteRunner(content, column).run([subject.test])[0], -1)
        reached[column] = sqnr
        cells.append(f"{sqnr:.1f}, {100 * np.mean(answers == truth):.1f}, {minutes:.1f}")
    missed = reached["learned rounding"] < reached["best"] - SLACK
    table.add_row(name, flavour.name, f"{100 * np.mean(exact == truth):.1f}", *cells, style="red" if missed else None)
    return missed


def files(subject: Subject) -> list[tuple[str, bytes, float]]:
    """The file of each column with the minutes that it took; nothing where the stock converter fails."""
    images, found = subject.train[:CALIBRATING], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "candidate.tflite")

        def ours(**options: Any) -> bytes:
            return export_tflite(subject.model, path, **options).path.read_bytes()

        def again(column: str) -> bytes:
            int8 = {"precision": "int8", "calibration": images}
            if column == "stock":
                return stock_file(subject.model, path, calibration=images).read_bytes()
            if column == "as folded":
                return ours(best=False, **int8)
            if column == "renewed":
                return renewed(ours(best=False, **int8), ours(), Calibration((images,), "array")).data
            if column == "best":
                return ours(best=True, **int8)
            return learn_rounding(subject.model, images, on_step=lambda _: None).data

        for column in COLUMNS:
            begun = time.monotonic()
            with silent():
                try:
                    content = again(column)
                except ConversionError:
                    if column != "stock":
                        raise
                    content = b""
            found.append((column, content, (time.monotonic() - begun) / 60))
    return found


if __name__ == "__main__":
    sys.exit(main())
