"""What the demos of classifiers share: the score, and a picture of which class is taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.demo.task import Shown
from kerasbn_export.demo.tasks.canvas import canvas

MOST = 24
"""Mistakes that a picture shows."""


def accuracy(outputs: Sequence[Array], labels: Array) -> float:
    """The share of samples whose largest logit is the label's."""
    return float(np.mean(np.argmax(outputs[0], axis=-1) == labels))


def confusion(answers: Array, labels: Array, classes: int) -> Array:
    """How often each class (row) was answered with each class (column)."""
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (labels, answers), 1)
    return counts


def mistakes(answers: Array, labels: Array) -> Array:
    """The numbers of the first samples with a wrong answer."""
    return np.flatnonzero(answers != labels)[:MOST]


def draw_confusion(path: Path, shown: Shown) -> None:
    """The confusion matrix of the int8 file."""
    with canvas(path, shown.title, (9, 8.5)) as figure:
        _matrix(figure.subplots(), shown)


def draw_confusion_and_mistakes(path: Path, shown: Shown) -> None:
    """The confusion matrix, and the pictures that the int8 file got wrong."""
    answers, labels, names = shown.answers[0].argmax(-1), shown.split.test_y, shown.split.labels
    wrong = mistakes(answers, labels)
    with canvas(path, shown.title, (14, 7.5)) as figure:
        left, right = figure.subfigures(1, 2, width_ratios=[1.15, 1])
        _matrix(left.subplots(), shown)
        right.suptitle(f"Mistakes of the int8 file, {len(wrong)} of {np.sum(answers != labels)}", fontsize=12)
        for axes, number in zip(
            right.subplots(4, MOST // 4).flat, [*wrong, *[None] * (MOST - len(wrong))], strict=True
        ):
            axes.axis("off")
            if number is not None:
                axes.imshow(shown.split.test_x[number, ..., 0], cmap="gray_r")
                axes.set_title(f"{names[labels[number]]}, not {names[answers[number]]}", fontsize=9)


def _matrix(axes: Any, shown: Shown) -> None:
    names = shown.split.labels
    counts = confusion(shown.answers[0].argmax(-1), shown.split.test_y, len(names))
    axes.imshow(counts / np.maximum(counts.sum(1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        color = "white" if counts[row, column] > counts[row].sum() / 2 else "black"
        axes.text(column, row, counts[row, column], ha="center", va="center", color=color, fontsize=9)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("answer of kerasbn's int8 file")
    axes.set_ylabel("truth")
    axes.set_title(f"{len(shown.split.test_y)} {shown.task.unit} that training never saw", loc="left", fontsize=12)
