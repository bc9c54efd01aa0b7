"""What one demo is made of: data, a network, and how both are trained, scored and drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasbn.flavour import Flavour
from kerasbn_export.arrays import Array
from kerasbn_export.demo.report import DemoReport
from kerasbn_models.data import Split
from kerasbn_models.norm import Norm


@dataclass(frozen=True)
class Lesson:
    """What a network is trained with.

    Attributes:
        flavour: The Keras of the network.
        split: The data; the test part is not for training.
        epochs: Passes over the training part.
        seed: Of what training draws itself.
        on_epoch: To be called after every epoch.
    """

    flavour: Flavour
    split: Split
    epochs: int
    seed: int
    on_epoch: Callable[[], None]


@dataclass(frozen=True)
class Shown:
    """What a picture is drawn of.

    Attributes:
        task: The demo.
        title: Stands above all.
        report: What the demo found.
        split: The data.
        answers: The outputs of kerasbn's int8 file for the test part.
    """

    task: Task
    title: str
    report: DemoReport
    split: Split
    answers: Sequence[Array]


@dataclass(frozen=True)
class Task:
    """One demo.

    Attributes:
        name: What one types, and how its files begin.
        title: The task and the network, in a few words.
        data: What the data are.
        licence: Of the data.
        package: The package that holds them, as pip knows it.
        module: The same as Python imports it.
        install: What pip is told to install.
        unit: What one sample is called, in the plural; the file with the training samples has this name.
        metric: What `score` measures.
        minutes: Of a whole run on two idle cores.
        kilobytes: Of the int8 file.
        seconds: Of the training alone; None where it is too short to say.
        epochs: Passes over the training part.
        read: Reads the data; takes a seed for the split.
        build: Makes the network for a flavour and a ``norm=``.
        train: Trains the network, in place.
        score: From the outputs for the test part and its answers, to a number from 0 to 1.
        picture: Draws the picture into a PNG file.
        best: Whether the int8 file is the best of several forms without BatchNorms: ``kerasbn export --best --strict``.
    """

    name: str
    title: str
    data: str
    licence: str
    package: str
    module: str
    install: str
    unit: str
    metric: str
    minutes: float
    kilobytes: int
    seconds: int | None
    epochs: int
    read: Callable[[int], Split]
    build: Callable[[str, Norm], Any]
    train: Callable[[Any, Lesson], None]
    score: Callable[[Sequence[Array], Array], float]
    picture: Callable[[Path, Shown], None]
    best: bool = False
