"""int8 of activations that are written out with max, min and where: the stock converter's file against ours.

    python benchmarks/choosing.py            both Kerases
    python benchmarks/choosing.py keras

Each is between a convolution with a BatchNorm and another convolution, with random weights; 128 random images
calibrate, 64 others judge. The exit code is 1 if a file of ours is more than 0.3 dB below stock's.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from files import silent
from judged_model import SLACK_DB, predict, run_file, sqnr, stock_file

from kerasbn.flavour import NAMES, Flavour
from kerasbn_export import export_tflite

SHAPE = (8, 8, 3)
FORMS: dict[str, Callable[[Any, Any], Any]] = {
    "maximum(x, 0.1 * x)": lambda f, x: f.maximum(x, 0.1 * x),
    "where(x > 0, x, 0.1 * x)": lambda f, x: f.where(x > 0.0, x, 0.1 * x),
    "where(x > 0, x, exp(minimum(x, 0)) - 1)": lambda f, x: f.where(x > 0.0, x, f.exp(f.minimum(x, 0.0)) - 1.0),
    "maximum(x, -x)": lambda f, x: f.maximum(x, -x),
    "where(x > 0.5, 2 * x, -x)": lambda f, x: f.where(x > 0.5, 2.0 * x, -x),
    "x * relu6(x + 3) / 6": lambda f, x: x * f.minimum(f.maximum(x + 3.0, 0.0), 6.0) / 6.0,
}


def network(flavour: Flavour, activation: Callable[[Any, Any], Any]) -> Any:
    """Convolution, BatchNorm, activation, convolution."""
    layers = flavour.keras.layers
    x = flavour.keras.Input(SHAPE)
    y = layers.BatchNormalization()(layers.Conv2D(8, 3, use_bias=False)(x))
    y = activation(flavour.keras.ops if flavour.name == "keras" else tf, y)
    model = flavour.keras.Model(x, layers.Conv2D(4, 3)(y))
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.5, 1.5, weight.shape) - 1.0 * (weight.ndim > 1) for weight in model.get_weights()])
    return model


def images(count: int, seed: int) -> np.ndarray:
    """Random numbers of variance 1."""
    return np.random.default_rng(seed).normal(size=(count, *SHAPE)).astype("float32")


def decibels(model: Any) -> tuple[float, float]:
    """The SQNR of stock's file and of ours."""
    judged, calibrating = [images(64, 2)], images(128, 3)
    wanted = predict(model, judged)
    with tempfile.TemporaryDirectory() as folder, silent():
        ours, stock = Path(folder, "ours.tflite"), Path(folder, "stock.tflite")
        export_tflite(model, ours, precision="int8", calibration=calibrating)
        stock_file(model, stock, "int8", [calibrating])
        return sqnr(wanted, run_file(stock, judged)), sqnr(wanted, run_file(ours, judged))


def main() -> int:
    """Prints the table."""
    below = False
    for name in sys.argv[1:] or NAMES:
        for form, activation in FORMS.items():
            stock, ours = decibels(network(Flavour(name), activation))
            below |= ours < stock - SLACK_DB
            print(f"{name:9} {form:40} stock {stock:5.1f} dB, kerasbn {ours:5.1f} dB", flush=True)
    return int(below)


if __name__ == "__main__":
    sys.exit(main())
