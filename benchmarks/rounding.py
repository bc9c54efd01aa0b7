"""What learned rounding and renewed statistics gain in int8: SQNR, accuracy and minutes beside other files.

    python benchmarks/rounding.py                                every network of `judged_networks`, in both Kerases
    python benchmarks/rounding.py --corpus DIR --only resnet8    the trained model of a folder, too
    python benchmarks/rounding.py --only separable --keras keras

Columns: the stock converter's file, ours as folded, ours with renewed statistics, the best of the forms, and that with
learned rounding. 500 training samples calibrate, 200 others judge. The accuracy is that of the labels; where there are
none, how often the largest output is the float model's. Exit code 1 where learned rounding is more than 0.3 dB below
the best file without it.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from calibration import CORPUS
from files import silent
from judged_networks import CALIBRATING, JUDGING, Maker, Subject, made_anew, rows
from rich.console import Console
from rich.table import Table

from kerasbn.errors import ConversionError
from kerasbn.flavour import NAMES, Flavour
from kerasbn_export import export_tflite, learn_rounding
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.export.scoring import scorer
from kerasbn_export.rounding.renew import renewed
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner

SLACK = 0.3
"""dB by which other samples may disagree with those that judged."""
COLUMNS = ("stock", "as folded", "renewed", "best", "learned rounding")


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
    for name, keras, make in rows(arguments.only, arguments.keras):
        print(f"\r{name} {keras}        ", end="", file=sys.stderr, flush=True)
        missed |= add_row(table, name, Flavour(keras), make)
    print(file=sys.stderr)
    Console(width=170).print(table)
    return int(missed)


def add_row(table: Table, name: str, flavour: Flavour, make: Maker) -> bool:
    """Adds one network; whether learned rounding is worse than the best file without it."""
    subject = made_anew(make, flavour)
    if subject is None:
        return False
    score = scorer(subject.model, Calibration((subject.test[:JUDGING],), "array"))
    exact = subject.model.predict(subject.test, verbose=0)
    cells, reached = [], {}
    for column in COLUMNS:
        begun = time.monotonic()
        content = file_of(subject, column)
        if not content:
            cells.append("fails")
            continue
        minutes, reached[column] = (time.monotonic() - begun) / 60, score(content)
        right = subject.right(TFLiteRunner(content, column).run([subject.test])[0], exact)
        cells.append(f"{reached[column]:.1f}, {100 * right:.1f}, {minutes:.1f}")
    missed = reached["learned rounding"] < reached["best"] - SLACK
    float_right = f"{100 * subject.right(exact, exact):.1f}"
    table.add_row(name, flavour.name, float_right, *cells, style="red" if missed else None)
    return missed


def file_of(subject: Subject, column: str) -> bytes:
    """The file of a column; nothing where the stock converter fails."""
    images, int8 = subject.train[:CALIBRATING], {"precision": "int8", "calibration": subject.train[:CALIBRATING]}
    with tempfile.TemporaryDirectory() as folder, silent():
        path = Path(folder, "candidate.tflite")

        def ours(**options: Any) -> bytes:
            return export_tflite(subject.model, path, **options).path.read_bytes()

        if column == "stock":
            try:
                return subject.by_stock(subject.model, path, calibration=images).read_bytes()
            except ConversionError:
                return b""
        if column == "as folded":
            return ours(best=False, **int8)
        if column == "renewed":
            return renewed(ours(best=False, **int8), ours(), Calibration((images,), "array")).data
        if column == "best":
            return ours(best=True, **int8)
        return learn_rounding(subject.model, images, on_step=lambda _: None).data


if __name__ == "__main__":
    sys.exit(main())
