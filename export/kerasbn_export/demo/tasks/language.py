"""Which language is this sentence? A TextCNN over bytes."""

from __future__ import annotations

from typing import Any

from kerasbn_export.demo.task import Lesson, Task
from kerasbn_export.demo.tasks.classification import accuracy, draw_confusion
from kerasbn_export.demo.tasks.training import class_loss, falling, fit
from kerasbn_models import text_cnn
from kerasbn_models.data import Split, messages
from kerasbn_models.norm import Norm

BATCH_SIZE = 64


def read(_seed: int) -> Split:
    """Sentences of 64 bytes in 14 languages."""
    return messages()


def build(flavour: str, norm: Norm) -> Any:
    """Three convolutions side by side, with a BatchNorm each."""
    return text_cnn(flavour, filters=128, norm=norm)


def train(model: Any, lesson: Lesson) -> None:
    """Adam with a falling rate."""
    rate = falling(lesson, 0.004, BATCH_SIZE)
    fit(model, lesson, class_loss(lesson), batch_size=BATCH_SIZE, rate=rate, jit_compile=False)


LANGUAGE = Task(
    name="language",
    title="Language, TextCNN",
    data="sentences in 14 languages",
    licence="BSD-3",
    package="Django",
    module="django",
    install="--no-deps Django",
    unit="sentences",
    metric="accuracy",
    minutes=0.5,
    kilobytes=82,
    seconds=20,
    epochs=10,
    read=read,
    build=build,
    train=train,
    score=accuracy,
    picture=draw_confusion,
)
