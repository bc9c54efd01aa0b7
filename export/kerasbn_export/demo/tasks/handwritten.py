"""The demo without a name: 8x8 digits, and a CNN with a BatchNorm in every typical place.

Momentum is 0.9: with Keras' 0.99 the moving statistics still hold their initial values after a few
hundred steps, and the trained network predicts at random.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerasbn_export.demo.data import load_digits
from kerasbn_export.demo.picture import draw
from kerasbn_export.demo.task import Lesson, Shown, Task
from kerasbn_export.demo.tasks.classification import accuracy
from kerasbn_export.demo.tasks.training import class_loss, fit
from kerasbn_export.verification.records.gates import GATES
from kerasbn_models import digits_cnn
from kerasbn_models.data import Split
from kerasbn_models.norm import Norm

BATCH_SIZE = 32
LEARNING_RATE = 0.002
MOMENTUM = 0.9


def read(seed: int) -> Split:
    """The digits of scikit-learn."""
    digits = load_digits(seed)
    return Split(digits.train_images, digits.train_labels, digits.test_images, digits.test_labels)


def build(flavour: str, norm: Norm) -> Any:
    """A CNN with seven BatchNorms."""
    return digits_cnn(flavour, momentum=MOMENTUM, norm=norm)


def train(model: Any, lesson: Lesson) -> None:
    """Adam at one rate."""
    fit(model, lesson, class_loss(lesson), batch_size=BATCH_SIZE, rate=LEARNING_RATE)


def picture(path: Path, shown: Shown) -> None:
    """Each layer's difference, and the scales before and after."""
    draw(path, shown.report, title=shown.title, gate=GATES["float32"].tolerance or 0.0)


DIGITS = Task(
    name="digits",
    title="Digits",
    data="1797 handwritten digits, 8 x 8",
    licence="CC BY 4.0",
    package="scikit-learn",
    module="sklearn",
    install="'kerasbn[demo]'",
    unit="images",
    metric="accuracy",
    minutes=0.5,
    kilobytes=25,
    seconds=None,
    epochs=12,
    read=read,
    build=build,
    train=train,
    score=accuracy,
    picture=picture,
)
