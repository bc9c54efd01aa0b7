"""How fast is folding? Ratios against what Keras needs to copy the same model, and growth with depth.

    python benchmarks/fold_speed.py                       ResNet50 in both Kerases, then chains of 250 to 2,000 layers
    python benchmarks/fold_speed.py --profile             where the time of the deepest chain goes

A copy is ``clone_model`` and ``set_weights``, weights in memory. Fold and copy take turns; a ratio is the median of
the rounds' ratios. The exit code is 1 if folding ResNet50 takes more than 1.5 copies, or a layer of
a deeper chain more than 1.3 times as long as one of the shallowest.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import cProfile
import pstats
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from patterns import give_numbers
from rich.console import Console
from rich.table import Table

from kerasbn.flavour import NAMES, Flavour
from kerasbn_export import fold

COPIES, STEEPEST = 1.5, 1.3
"""The most that ResNet50 may take in copies, and a layer in those of the shallowest chain."""
DEPTHS = (250, 500, 1000, 2000)
ROUNDS = 4
"""Of the depths, which take turns: a busy machine does not slow the deepest alone, and its least time is kept."""


def main() -> int:
    """Prints both tables; 0 if both targets are reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keras", choices=NAMES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--depths", type=int, nargs="+", default=DEPTHS)
    parser.add_argument("--profile", action="store_true", help="print where the time of the deepest chain goes")
    arguments = parser.parse_args()
    flavours = [Flavour(name) for name in ([arguments.keras] if arguments.keras else NAMES)]
    missed = [against_copying(flavours, arguments.rounds), by_depth(flavours, arguments.depths)]
    if arguments.profile:
        profile(flavours[0], max(arguments.depths))
    return int(any(missed))


def against_copying(flavours: list[Flavour], rounds: int) -> bool:
    """Prints the first table; whether the target is missed."""
    table = Table("Keras", "copy, s", "fold, s", "fold / copy", title="ResNet50")
    worst = 0.0
    for flavour in flavours:
        model = give_numbers(flavour.keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3)))
        copies, folds = zip(*(_turn(flavour, model, turn) for turn in range(-1, rounds)), strict=True)
        ratio = statistics.median(b / a for a, b in zip(copies[1:], folds[1:], strict=True))
        worst = max(worst, ratio)
        numbers = (statistics.median(copies[1:]), statistics.median(folds[1:]), ratio)
        table.add_row(flavour.name, *(f"{number:.2f}" for number in numbers))
    Console().print(table)
    return worst > COPIES


def _turn(flavour: Flavour, model: Any, turn: int) -> tuple[float, float]:
    """Seconds of one copy and one fold; which one begins changes from turn to turn."""
    if turn % 2:
        copied = _seconds(lambda: _copy(flavour, model))
        return copied, _seconds(lambda: fold(model))
    folded = _seconds(lambda: fold(model))
    return _seconds(lambda: _copy(flavour, model)), folded


def _copy(flavour: Flavour, model: Any) -> Any:
    copied = flavour.keras.models.clone_model(model)
    copied.set_weights(model.get_weights())
    return copied


def _seconds(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def by_depth(flavours: list[Flavour], depths: list[int]) -> bool:
    """Prints the second table; whether folding grows faster than the depth."""
    table = Table(
        "Keras", *(f"{depth} layers, s" for depth in depths), "ms per layer", title="Chains of Dense, BN, ReLU"
    )
    steep = False
    for flavour in flavours:
        models = [chain(flavour, depth) for depth in depths]
        rounds = [[_seconds(lambda model=model: fold(model)) for model in models] for _ in range(ROUNDS)]
        seconds = [min(column) for column in zip(*rounds, strict=True)]
        steep |= any(s / seconds[0] > STEEPEST * d / depths[0] for d, s in zip(depths, seconds, strict=True))
        per_layer = 1000 * seconds[-1] / depths[-1]
        table.add_row(flavour.name, *(f"{second:.2f}" for second in seconds), f"{per_layer:.2f}")
    Console(width=120).print(table)
    return steep


def chain(flavour: Flavour, depth: int) -> Any:
    """A model of that many layers: Dense, BN and ReLU in turn. Keras itself needs a deeper stack to build it."""
    layers = flavour.keras.layers
    inputs = x = flavour.keras.Input((8,))
    kinds = (lambda: layers.Dense(8), layers.BatchNormalization, layers.ReLU)
    for number in range(depth):
        x = kinds[number % 3]()(x)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 10 * depth)
    try:
        return give_numbers(flavour.keras.Model(inputs, x))
    finally:
        sys.setrecursionlimit(limit)


def profile(flavour: Flavour, depth: int) -> None:
    """Prints the functions in which folding a chain spends its time."""
    model = chain(flavour, depth)
    profiler = cProfile.Profile()
    profiler.runcall(fold, model)
    statistics_ = pstats.Stats(profiler)
    statistics_.sort_stats("cumulative").print_stats("kerasbn", 25)
    statistics_.sort_stats("tottime").print_stats(15)


if __name__ == "__main__":
    sys.exit(main())
