"""How long does an export take? Against the stock conversion and a copy of the same model.

    python benchmarks/export_speed.py                      seven models, both Kerases, float32
    python benchmarks/export_speed.py --precision int8 --only MobileNet
    KERASBN_CORPUS=FOLDER python benchmarks/export_speed.py --only resnet8 ad01       models of MLPerf Tiny

Ours folds, converts, and checks the file that it made. The bound is 1.15 times ``TFLiteConverter.from_keras_model`` and
``convert`` plus the time of ``clone_model`` and ``set_weights``. The three take turns; the ratio is the median of the
rounds' ``ours / (1.15 * stock + copy)``, in CPU seconds of this process and those that it starts (a busy machine slows
all alike). The exit code is 1 if a ratio is above 1.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from applications import build, give_statistics
from block_models import samples
from files import our_file, stock_file
from rich.console import Console
from rich.table import Table

from kerasbn.flavour import NAMES, Flavour
from kerasbn_export.loading.load import load_model
from kerasbn_models import digits_cnn, mlp

FACTOR = 1.15
CORPUS = "KERASBN_CORPUS"
DYING = ("recurrent", "keras", "int8")
"""What the stock converter does not survive: SIGSEGV in its calibrator."""
TRAINED = ("resnet8", "ad01")
"""Keras 2 models of MLPerf Tiny, where `CORPUS` names their folder."""


def recurrent(flavour: Flavour) -> Any:
    """BatchNorm before an LSTM and behind it; the batch is fixed, as the stock converter needs it."""
    keras, layers = flavour.keras, flavour.keras.layers
    steps = keras.Input((16, 8), batch_size=1)
    x = layers.BatchNormalization()(layers.Conv1D(16, 3, activation="relu")(steps))
    x = layers.BatchNormalization()(layers.LSTM(24)(x))
    return keras.Model(steps, layers.Dense(4)(x))


MODELS: dict[str, Callable[[Flavour], Any]] = {
    "digits_cnn": lambda flavour: digits_cnn(flavour.name),
    "mlp": lambda flavour: mlp(flavour.name),
    "recurrent": recurrent,
    **{
        name: lambda flavour, name=name: build(name, flavour)  # type: ignore[misc]
        for name in ("MobileNet", "MobileNetV2", "ResNet50V2", "DenseNet121")
    },
}
if CORPUS in os.environ:
    MODELS |= {
        name: lambda _, name=name: load_model(Path(os.environ[CORPUS], f"{name}.h5"))  # type: ignore[misc]
        for name in TRAINED
    }


def main() -> int:
    """Prints the table; 0 if every model is within the bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", choices=NAMES)
    parser.add_argument("--only", choices=MODELS, nargs="+", default=[*MODELS], metavar="MODEL")
    parser.add_argument("--precision", choices=["float32", "int8"], default="float32")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    table = Table("model", "Keras", "stock, s", "copy, s", "ours, s", "ours / bound", title=arguments.precision)
    worst = 0.0
    for name in arguments.only:
        for keras in ["tf_keras"] if name in TRAINED else [arguments.keras] if arguments.keras else NAMES:
            if (name, keras, arguments.precision) == DYING:
                table.add_row(name, keras, "dies", "", "", "")
                continue
            seconds = measured(name, Flavour(keras), arguments)
            ratio = statistics.median(ours / (FACTOR * stock + copy) for stock, copy, ours in seconds)
            worst = max(worst, ratio)
            medians = [statistics.median(column) for column in zip(*seconds, strict=True)]
            table.add_row(name, keras, *(f"{value:.2f}" for value in medians), f"{ratio:.2f}")
    Console(width=120).print(table)
    return int(worst > 1)


def measured(name: str, flavour: Flavour, arguments: argparse.Namespace) -> list[tuple[float, float, float]]:
    """Seconds of stock, copy and ours in each round, after one that is thrown away."""
    flavour.keras.backend.clear_session()
    model = MODELS[name](flavour)
    if name not in TRAINED:
        model = give_statistics(model)
    data = samples(model, 8, seed=1) if arguments.precision == "int8" else None
    with tempfile.TemporaryDirectory() as folder:
        calls = [
            lambda: stock_file(model, Path(folder, "stock.tflite"), calibration=data),
            lambda: copy(flavour, model),
            lambda: our_file(model, Path(folder, "ours.tflite"), calibration=data),
        ]
        rounds = [turn(calls, number) for number in range(arguments.rounds + 1)]
    return rounds[1:]


def turn(calls: list[Callable[[], Any]], number: int) -> tuple[float, float, float]:
    """Seconds of each call; who begins changes from round to round."""
    seconds = [0.0] * len(calls)
    for step in range(len(calls)):
        index = (number + step) % len(calls)
        start = sum(os.times()[:4])
        calls[index]()
        seconds[index] = sum(os.times()[:4]) - start
    return seconds[0], seconds[1], seconds[2]


def copy(flavour: Flavour, model: Any) -> None:
    """The same model again, with its weights."""
    flavour.keras.models.clone_model(model).set_weights(model.get_weights())


if __name__ == "__main__":
    sys.exit(main())
