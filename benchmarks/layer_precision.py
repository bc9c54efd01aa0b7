"""How exact is the variance of a batch in float32 where the mean is large? Relative errors against float64.

    python benchmarks/layer_precision.py

Ends with exit code 1 where ours is worse than the stock layer's and than 3e-6, the rounding of a sum in float32.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import sys

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from kerasbn.flavour import NAMES, Flavour

SHAPES = [(4096, 8), (64, 64, 8), (16, 16, 16, 8), (200_000, 8)]
RATIOS = [1.0, 10.0, 1e2, 1e3, 1e4]
ROUNDING = 3e-6


def error(layer: object, x: tf.Tensor, exact: np.ndarray, jit_compile: bool) -> float:
    """Of the moving variance after one step from nothing, the largest over the channels."""
    tf.function(lambda x: layer(x, training=True), jit_compile=jit_compile)(x)
    return float(np.abs(layer.moving_variance.numpy() / exact - 1).max())


def main() -> None:
    """Prints the table."""
    table, bad = Table(title="relative error of the variance: ours / stock"), False
    for heading in ("shape", "", "Keras", *(f"|mean|/sigma {ratio:g}" for ratio in RATIOS)):
        table.add_column(heading)
    rng = np.random.default_rng(1)
    for shape in SHAPES:
        axes = tuple(range(len(shape) - 1))
        for jit_compile in (False, True):
            for flavour in map(Flavour, NAMES):
                cells, ddof = [], int(flavour.name == "tf_keras" and len(shape) == 4)
                for ratio in RATIOS:
                    x = (rng.normal(size=shape) + ratio).astype("float32")
                    exact, errors = x.astype("float64").var(axes, ddof=ddof), []
                    for make in (flavour.batch_normalization, flavour.keras.layers.BatchNormalization):
                        errors.append(error(make(momentum=0.0), tf.constant(x), exact, jit_compile))
                    cells.append("{:.0e} / {:.0e}".format(*errors))
                    bad |= not errors[0] <= max(errors[1], ROUNDING)
                table.add_row(str(shape), "XLA" if jit_compile else "", flavour.name, *cells)
    Console(width=140).print(table)
    sys.exit(bad)


if __name__ == "__main__":
    main()
