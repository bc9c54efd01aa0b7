"""Small batches on real data: which normalization holds, and the first claim of the paper of 2015.

    python benchmarks/small_batch.py                       both tables, Keras 3, five seeds: a quarter of an hour
    python benchmarks/small_batch.py --section batches --batches 2 32 --seeds 2
    python benchmarks/small_batch.py --section rates --plot docs/how-to/steps.svg
    python benchmarks/small_batch.py --keras tf_keras --markdown

batches   Held-out accuracy of a small CNN on scikit-learn's digits, mean and standard deviation over the seeds, by the
          samples of a batch. Epochs are the same for all, the learning rate is in proportion to the batch, and the
          moving averages reach over the same number of samples.
rates     Steps until a held-out accuracy is reached, with and without BatchNorm, at three learning rates (batches of
          32). "Batch Normalization", Ioffe and Szegedy 2015, section 4.2: 5 and 30 times the rate.

The exit code is 1 if at a batch of 2 neither renorm nor synchronized is better than plain BatchNorm, or if BatchNorm at
its best rate takes more steps than the network without it at its own.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from layer_training import digits
from steps_chart import Curve, draw_curves
from training_loop import Array, Loop, shuffled

from kerasbn import recalibrate
from kerasbn.flavour import NAMES, Flavour
from models import print_table

SECTIONS = ("batches", "rates")
BATCHES, LARGEST = (2, 4, 8, 32), 32
EPOCHS, RATE = 6, 0.05
"""The rate is that of a batch of 32; it falls to 0 in a straight line."""
KEPT = 0.9
"""What a batch of 32 leaves of the moving averages; a smaller one leaves more."""
RATES = (0.01, 0.05, 0.3)
GOAL, LONGEST, EVERY = 0.95, 600, 10
"""The accuracy to reach, the steps after which one gives up, and how often one looks."""


@dataclass(frozen=True)
class Norm:
    """One way to normalize.

    Attributes:
        name: The row's name.
        make: From a Keras, the samples of a batch and the steps of the training, the layer class; None for none.
        workers: Replicas.
        note: What the reader has to know.
    """

    name: str
    make: Callable[[Flavour, int, int], Any]
    workers: int = 1
    note: str = ""


def plain(flavour: Flavour, batch: int, _: int, **options: Any) -> Any:
    """The layer of kerasbn."""
    return partial(flavour.batch_normalization, momentum=KEPT ** (batch / LARGEST), **options)


def ghost(flavour: Flavour, batch: int, steps: int) -> Any:
    """Statistics of a quarter of the batch, at least of two samples."""
    return plain(flavour, batch, steps, virtual_batch_size=max(2, batch // 4)) if batch > 2 else None


def renorm(flavour: Flavour, batch: int, steps: int) -> Any:
    """Batch renormalization that sets in over the first quarter of the training."""
    decay = flavour.keras.optimizers.schedules.PolynomialDecay
    reached = max(1, steps // 4)
    rmax, dmax = decay(1.0, reached, 3.0), decay(0.0, reached, 5.0)
    return plain(flavour, batch, steps, renorm=True, renorm_clipping={"rmin": 0.0, "rmax": rmax, "dmax": dmax})


def synchronized(flavour: Flavour, batch: int, steps: int) -> Any:
    """Statistics over all workers."""
    return plain(flavour, 2 * batch, steps, synchronized=True)


def group(flavour: Flavour, _: int, __: int) -> Any:
    """No statistics of the batch at all."""
    return partial(flavour.keras.layers.GroupNormalization, groups=8)


RECALIBRATED = "recalibrated"
NORMS = (
    Norm("plain", plain),
    Norm("ghost", ghost, note="a quarter of the batch, at least 2"),
    Norm("renorm", renorm),
    Norm("synchronized", synchronized, 2, "two workers with a batch each"),
    Norm("GroupNormalization", group, note="8 groups"),
)


def main() -> int:
    """Prints the tables; 1 if a claim does not hold."""
    arguments = parsed()
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    flavour, holds = Flavour(arguments.keras), True
    if "batches" in arguments.section:
        found = dict(batch_rows(flavour, arguments.batches, arguments.seeds))
        heads = ("batch", *map(str, arguments.batches))
        print_table(heads, [[name, *map(spread, row)] for name, row in found.items()], arguments.markdown)
        holds &= arguments.batches[0] > 2 or small_batches_hold(found)
    if "rates" in arguments.section:
        curves = list(rate_curves(flavour, arguments.seeds))
        print_table(
            ("network", "learning rate", f"steps to {GOAL}"), [row_of(curve) for curve in curves], arguments.markdown
        )
        holds &= fewer_steps(curves)
        if arguments.plot:
            arguments.plot.write_text(draw_curves(curves, GOAL), "utf-8")
    return int(not holds)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--section", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--keras", choices=NAMES, default="keras")
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--plot", type=Path, metavar="SVG", help="where to draw the curves of 'rates'")
    parser.add_argument("--markdown", action="store_true", help="the tables of docs/how-to/small-batches.md")
    return parser.parse_args()


def network(flavour: Flavour, norm: Any) -> Any:
    """Two convolutions and a Dense, each with a norm and a ReLU; 8, 4 and 1 positions a side."""
    layers = flavour.keras.layers
    parts = [layers.Input((8, 8, 1))]
    for width, stride in ((16, 1), (32, 2)):
        parts += [layers.Conv2D(width, 3, strides=stride, padding="same", use_bias=norm is None), *normed(layers, norm)]
    parts += [layers.Flatten(), layers.Dense(64, use_bias=norm is None), *normed(layers, norm), layers.Dense(10)]
    return flavour.keras.Sequential(parts)


def normed(layers: Any, norm: Any) -> list[Any]:
    """The norm, if there is one, and a ReLU."""
    return [*([norm()] if norm else []), layers.ReLU()]


def batch_rows(flavour: Flavour, batches: Sequence[int], seeds: int) -> Iterator[tuple[str, list[list[float]]]]:
    """For each norm its accuracies, one list over seeds for each batch; recalibrated follows plain."""
    again: list[list[float]] = []
    for norm in NORMS:
        row: list[list[float]] = []
        for batch in batches:
            trained = [] if norm.make(flavour, batch, 1) is None else list(accuracies(flavour, norm, batch, seeds))
            row.append([accuracy for accuracy, _ in trained])
            again += [[renewed for _, renewed in trained]] if norm.name == "plain" else []
            print(f"{norm.name}, batch {batch}: {spread(row[-1])}", file=sys.stderr, flush=True)
        yield (f"{norm.name}: {norm.note}" if norm.note else norm.name), row
        if norm.name == "plain":
            yield RECALIBRATED, again


def accuracies(flavour: Flavour, norm: Norm, batch: int, seeds: int) -> Iterator[tuple[float, float]]:
    """The held-out accuracy of each seed, as trained and recalibrated (the same for all but plain)."""
    x, y, x_test, y_test = digits()
    together = batch * norm.workers
    steps = EPOCHS * (len(x) // together)
    loop = Loop(flavour, partial(network, flavour, norm.make(flavour, batch, steps)), (x, y), batch, norm.workers)
    rates = RATE * together / LARGEST * np.linspace(1, 0, steps, endpoint=False)
    for seed in range(seeds):
        loop.reset(seed)
        loop.train(shuffled(len(x), steps, together, seed), rates)
        accuracy = renewed = loop.accuracy(x_test, y_test)
        if norm.name == "plain":
            recalibrate(loop.model, x, validation=False)
            renewed = loop.accuracy(x_test, y_test)
        yield accuracy, renewed


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation, in percent."""
    if not values:
        return "-"
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{100 * statistics.fmean(values):.1f} ± {100 * deviation:.1f}"


def small_batches_hold(found: dict[str, list[list[float]]]) -> bool:
    """Whether renorm or synchronized is better than plain at the smallest batch."""
    means = {name.partition(":")[0]: statistics.fmean(row[0]) for name, row in found.items() if row[0]}
    return max(means["renorm"], means["synchronized"]) > means["plain"]


def rate_curves(flavour: Flavour, seeds: int) -> Iterator[Curve]:
    """The accuracy by steps, the mean over seeds, with and without BatchNorm."""
    x, y, x_test, y_test = digits()
    for name, norm in (("with BatchNorm", plain(flavour, LARGEST, 1)), ("without", None)):
        loop = Loop(flavour, partial(network, flavour, norm), (x, y), LARGEST)
        for rate in RATES:
            runs = [run(loop, rate, seed, (x_test, y_test)) for seed in range(seeds)]
            curve = Curve(name, rate, EVERY, tuple(np.mean(runs, 0)))
            print(" | ".join(row_of(curve)), file=sys.stderr, flush=True)
            yield curve


def run(loop: Loop, rate: float, seed: int, held_out: tuple[Array, Array]) -> list[float]:
    """The held-out accuracy after every few steps."""
    loop.reset(seed)
    rows = shuffled(len(digits()[0]), LONGEST, LARGEST, seed)
    found = []
    for start in range(0, LONGEST, EVERY):
        loop.train(rows[start : start + EVERY], [rate] * EVERY)
        found.append(loop.accuracy(*held_out))
    return found


def row_of(curve: Curve) -> list[str]:
    """A line of the table."""
    steps = curve.steps_to(GOAL)
    return [curve.name, f"{curve.rate:g}", f"never in {LONGEST}" if steps is None else str(steps)]


def fewer_steps(curves: Sequence[Curve]) -> bool:
    """Whether BatchNorm at its best rate needs fewer steps than the network without it."""
    best = {name: min(curve.steps_to(GOAL) or LONGEST + 1 for curve in curves if curve.name == name)
            for name in {curve.name for curve in curves}}  # fmt: skip
    return best["with BatchNorm"] < best["without"]


if __name__ == "__main__":
    sys.exit(main())
