"""Trained networks with samples that calibrate, samples that judge, and labels: those of `rounding.py` and `qat.py`.

digits, separable            the CNN of the demo on 8x8 digits; depthwise and 1x1 convolutions on MNIST
mobilenet_v2                 width 0.35, random weights, and the statistics of its own inputs; no labels
resnet8                      MLPerf Tiny's, on cuts of photographs; no labels; needs the folder of ``--corpus``
resnet20, ds_cnn, text_cnn, tcn, bn_lstm
                             the reference models of the demos, trained for a part of the demos' epochs

A network whose data are not installed is left out by name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from calibration import CORPUS, mnist, resnet8, separable
from files import our_file, stock_file

from kerasbn import recalibrate
from kerasbn.errors import MissingPackageError
from kerasbn.flavour import NAMES, Flavour
from kerasbn_export.demo.task import Lesson, Task
from kerasbn_export.demo.tasks import DIGITS, TASKS
from kerasbn_export.demo.train import train
from kerasbn_models import mobilenet_v2

CALIBRATING, JUDGING = 500, 200


@dataclass(frozen=True)
class Subject:
    """A network with the samples that calibrate and those that judge, with labels where there are any.

    Attributes:
        model: With stock's BatchNormalization.
        train: Samples that calibrate and teach.
        test: Samples that judge.
        labels: Answers for `test`.
        train_labels: Classes of `train`; None where there are none that one can train on.
        score: From outputs and `labels` to a number from 0 to 1; the part of the right classes if not given.
        by_stock: Writes the stock converter's file.
    """

    model: Any
    train: np.ndarray
    test: np.ndarray
    labels: np.ndarray | None = None
    train_labels: np.ndarray | None = None
    score: Callable[..., float] | None = None
    by_stock: Callable[..., Path] = stock_file

    def right(self, answers: np.ndarray, exact: np.ndarray) -> float:
        """The score of some outputs; without labels, how often their largest is that of the float model's outputs."""
        if self.score is not None:
            return self.score([answers], self.labels)
        truth = np.argmax(exact, -1) if self.labels is None else np.asarray(self.labels).reshape(-1)
        return float(np.mean(np.argmax(answers, -1) == truth))


Maker = Callable[[Flavour], Subject]


def of_task(
    task: Task, epochs: int, *, classes: bool = True, by_stock: Callable[..., Path] = stock_file
) -> Callable[[Flavour], Subject]:
    """What makes the network of a demo.

    Args:
        task: The demo.
        epochs: Passes over its training part.
        classes: Whether its answers are classes.
        by_stock: See `Subject`.
    """

    def make(flavour: Flavour) -> Subject:
        split = task.read(0)
        _, model = train(task, Lesson(flavour, split, epochs, 0, lambda: None))
        score = None if classes else task.score
        train_labels = split.train_y if classes else None
        return Subject(model, split.train_x, split.test_x, split.test_y, train_labels, score, by_stock)

    return make


def separable_cnn(flavour: Flavour) -> Subject:
    """Depthwise and 1x1 convolutions on MNIST."""
    subject = separable(flavour)
    _, train_labels, _, labels = mnist()
    return Subject(subject.model, subject.train, subject.test, labels, train_labels)


def mobilenet(flavour: Flavour) -> Subject:
    """MobileNetV2 of width 0.35 with random gammas and betas, and the statistics of smooth random images."""
    rng = np.random.default_rng(0)
    model = mobilenet_v2(flavour.name, input_shape=(64, 64, 3), classes=10, alpha=0.35)
    for layer in model.layers:
        if "BatchNormalization" in type(layer).__name__:
            size = int(layer.gamma.shape[0])
            layer.gamma.assign(rng.uniform(0.5, 1.5, size).astype("float32"))
            layer.beta.assign(rng.normal(0, 0.3, size).astype("float32"))
    images = rng.normal(size=(CALIBRATING + JUDGING, 8, 8, 3)).repeat(8, 1).repeat(8, 2)
    images = (images + 0.3 * rng.normal(size=images.shape)).astype("float32")
    recalibrate(model, images[:CALIBRATING], batch_size=100, validation=False)
    return Subject(model, images[:CALIBRATING], images[CALIBRATING:])


def corpus(flavour: Flavour) -> Subject:
    """ResNet8 of MLPerf Tiny on cuts of photographs."""
    subject = resnet8(flavour)
    return Subject(subject.model, subject.train, subject.test)


NETWORKS: dict[str, Maker] = {
    "digits": of_task(DIGITS, 12),
    "separable": separable_cnn,
    "mobilenet_v2": mobilenet,
    "resnet8": corpus,
    "ds_cnn": of_task(TASKS["keywords"], 5),
    "resnet20": of_task(TASKS["mnist"], 2),
    "text_cnn": of_task(TASKS["language"], 5),
    "tcn": of_task(TASKS["heartbeats"], 4, classes=False),
    "bn_lstm": of_task(TASKS["speech-lstm"], 5, by_stock=partial(our_file, fold=False)),  # the stock converter dies
}


def rows(word: str, keras: str | None) -> Iterator[tuple[str, str, Maker]]:
    """The networks with a word in their name, each with its Kerases.

    Args:
        word: All if empty.
        keras: The name of one Keras; None for both.
    """
    for name, make in NETWORKS.items():
        flavours = ["tf_keras"] * (CORPUS in os.environ) if name == "resnet8" else NAMES
        for flavour in flavours:
            if word in name and keras in (None, flavour):
                yield name, flavour, make


def made_anew(make: Maker, flavour: Flavour) -> Subject | None:
    """The network, the same each time; None, with the reason on the screen, where its data are not installed."""
    flavour.keras.backend.clear_session()
    flavour.keras.utils.set_random_seed(0)
    try:
        return make(flavour)
    except MissingPackageError as absent:
        print(f"left out: {absent}", file=sys.stderr, flush=True)
        return None
