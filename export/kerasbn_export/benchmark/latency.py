"""How long .tflite files take, as ratios: measured interleaved, so that a busy machine slows all alike.

Per round every model runs in turn for the same number of times; ``ratio = median over rounds of
(its seconds / the first model's seconds in the same round)``. The files are opened anew a few times, each time another
one first: where in memory a model comes to lie makes some percent, and two files with the same 103 operations came out
at 0.956 to 1.049 in four processes that opened them once. Quick files are opened anew for every round, for the same
file of 2.5 microseconds against itself comes out at 0.93 to 1.02.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kerasbn.arguments import AtLeastOne, Seed, checks_arguments
from kerasbn.errors import InvalidArgumentError, ModelFileError
from kerasbn_export.files.reading import reading
from kerasbn_export.tflite.interpreter import open_interpreter

ROUND_SECONDS = 0.004
OPENINGS, QUICK_SECONDS = 4, 2e-5
"""How often the files are opened at most, unless each runs in less than these seconds."""
TRIES = 5
"""Runs of which the quickest says how many make a round: the first may take four times as long."""


@dataclass(frozen=True)
class Latency:
    """What one model took.

    Attributes:
        path: The file.
        milliseconds: Median time of one run.
        ratio: Median, over the rounds, of its time over the time of the first model.
        spread: The quartiles of that ratio, 25 % and 75 %.
    """

    path: Path
    milliseconds: float
    ratio: float
    spread: tuple[float, float]


@checks_arguments
def compare_latency(
    paths: Sequence[Path],
    *,
    rounds: AtLeastOne = 60,
    threads: AtLeastOne = 1,
    seed: Seed = 0,
    backend: str = "xnnpack",
    delegate: str | None = None,
) -> list[Latency]:
    """Times of .tflite files on this machine, relative to the first.

    Args:
        paths: At least one file, each with static shapes or a batch that is run at size 1.
        rounds: How often the models take turns.
        threads: Threads of the interpreter.
        seed: For the random inputs.
        backend: The kernels: see `kerasbn_export.tflite.interpreter`.
        delegate: The shared library of a delegate.

    Returns:
        One record per file, in the order given.

    Raises:
        InvalidArgumentError: No file, or fewer than one round, or see `open_interpreter`.
        ModelFileError: LiteRT cannot open a file.
    """
    if not paths or rounds < 1:
        raise InvalidArgumentError(
            f"Latency is measured of at least one file in at least one round; "
            f"found {len(paths)} files and {rounds} rounds."
        )

    def open_one(path: Path) -> _Runner:
        interpreter = open_interpreter(path, backend=backend, threads=threads, delegate=delegate)
        return _Runner(path, interpreter, threads, seed)

    def open_all(opening: int) -> list[_Runner]:
        opened = {place: open_one(paths[place]) for place in _rotated(len(paths), opening)}
        return [opened[place] for place in range(len(paths))]

    runners, times = open_all(0), list[list[float]]()
    slowest = max(min(runner.seconds(1) for _ in range(TRIES)) for runner in runners)
    repeats = max(1, round(ROUND_SECONDS / slowest))
    openings = rounds if slowest < QUICK_SECONDS else min(OPENINGS, rounds)
    for opening in range(openings):
        runners = open_all(opening) if opening else runners
        turns = range(rounds * opening // openings, rounds * (opening + 1) // openings)
        times += [_round(runners, repeats, turn) for turn in turns]
    return [_latency(path, times, index, repeats) for index, path in enumerate(paths)]


class _Runner:
    """One interpreter with its inputs set, warmed up."""

    def __init__(self, path: Path, interpreter: Any, threads: int, seed: int) -> None:
        self.path = path
        # One thread is the calling one, and its own clock stops while another process has the core.
        self._clock = time.thread_time if threads == 1 else time.perf_counter
        self._interpreter = interpreter
        rng = np.random.default_rng(seed)
        with reading(path, "LiteRT cannot run it", ModelFileError):
            for detail in self._interpreter.get_input_details():
                self._interpreter.set_tensor(detail["index"], _input(detail, rng))
            self.seconds(3)

    def seconds(self, repeats: int) -> float:
        start = self._clock()
        for _ in range(repeats):
            self._interpreter.invoke()
        return self._clock() - start


def _input(detail: dict[str, Any], rng: np.random.Generator) -> Any:
    shape, dtype = detail["shape"], np.dtype(detail["dtype"])
    if dtype.kind in "iu" and dtype.itemsize > 2:
        # Not a quantised type: they may be indices, which a lookup refuses below 0 or beyond its table.
        return rng.integers(0, 2, shape, dtype=dtype)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return rng.integers(max(limits.min, -128), min(limits.max, 127), shape, dtype=dtype)
    return (rng.random(shape) < 0.5) if dtype.kind == "b" else rng.random(shape).astype(dtype)


def _round(runners: list[_Runner], repeats: int, turn: int) -> list[float]:
    """The seconds of every runner; who starts changes from round to round."""
    seconds = [0.0] * len(runners)
    for index in _rotated(len(runners), turn):
        seconds[index] = runners[index].seconds(repeats)
    return seconds


def _rotated(count: int, turn: int) -> list[int]:
    return [(turn + step) % count for step in range(count)]


def _latency(path: Path, times: list[list[float]], index: int, repeats: int) -> Latency:
    ratios = [seconds[index] / seconds[0] for seconds in times]
    low, high = np.quantile(ratios, [0.25, 0.75])
    median = statistics.median(seconds[index] for seconds in times)
    return Latency(path, 1e3 * median / repeats, statistics.median(ratios), (float(low), float(high)))
