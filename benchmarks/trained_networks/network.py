"""What one trained network brings: the model, samples to calibrate and to test on, and its number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray
Score = Callable[[Array, Array], float]
"""From the float model's outputs and those to judge, to a number from 0 to 1."""


class Absent(Exception):  # noqa: N818  # not a fault: the row says it
    """A network's package or folder is not there; the message says how to get it."""


@dataclass(frozen=True)
class Folders:
    """Folders that no package manager of Python fills.

    Attributes:
        corpus: With ad01.h5 and resnet8.h5 of github.com/mlcommons/tiny; None if there is none.
        nsfwjs: Of the unpacked npm package nsfwjs.
    """

    corpus: Path | None = None
    nsfwjs: Path | None = None


@dataclass(frozen=True)
class Trained:
    """One network.

    Attributes:
        model: With the BatchNormalization of Keras or of kerasbn.
        stock: The same with the BatchNormalization of Keras, for the stock converter.
        calibration: Samples that ranges are measured on.
        x: Other samples, which files are judged on.
        metric: What `score` measures.
        score: Its number; None where the task has none.
    """

    model: Any
    stock: Any
    calibration: Array
    x: Array
    metric: str = ""
    score: Score | None = None


@dataclass(frozen=True)
class Source:
    """Where a network comes from.

    Attributes:
        name: The row's name.
        licence: Of the weights.
        flavours: The Kerases that it can be built in.
        build: Makes it for a Keras; raises `Absent`.
    """

    name: str
    licence: str
    flavours: tuple[str, ...]
    build: Callable[[str, Folders], Trained]


def agreement(float_outputs: Array, outputs: Array) -> float:
    """The share of samples that get the class which the float model gives them."""
    return float(np.mean(float_outputs.argmax(-1) == outputs.argmax(-1)))
