"""Object detection: a YOLO11n that draws boxes around cell nuclei."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.demo.task import Lesson, Shown, Task
from kerasbn_export.demo.tasks.canvas import canvas
from kerasbn_export.demo.tasks.orientations import oriented
from kerasbn_export.demo.tasks.training import falling, fit
from kerasbn_models.data import Split, boxes_of, nuclei
from kerasbn_models.norm import Norm
from kerasbn_models.yolo11 import (
    Detections,
    decode,
    detect,
    detection_loss,
    mean_average_precision,
    padded_labels,
    with_head,
    yolo11,
)

BATCH_SIZE = 16
WINDOW = 64
SIZE = 128
"""Pixels of a side: every window is doubled, since the finest boxes of YOLO11 are 8 pixels apart."""
PICTURES = 8
"""Windows that the picture shows."""
SURE = 0.4
"""The score of a box that the picture shows."""


def read(seed: int) -> Split:
    """Windows of 128 x 128, in training in all eight orientations, and the boxes of their nuclei."""
    split = nuclei(size=WINDOW)
    order = np.random.default_rng(seed).permutation(8 * len(split.train_x))
    train_x, train_y = oriented(split.train_x)[order], oriented(split.train_y)[order]
    return Split(doubled(train_x), labels(train_y), doubled(split.test_x), labels(split.test_y))


def doubled(x: Array) -> Array:
    """Every pixel four times."""
    return x.repeat(2, axis=1).repeat(2, axis=2)


def labels(masks: Array) -> Array:
    """The boxes of doubled masks, as `detection_loss` takes them."""
    return padded_labels([2 * boxes_of(mask) for mask in masks])


def build(flavour: str, norm: Norm) -> Any:
    """YOLO11n with 81 BatchNorms; its outputs suffer least from int8."""
    return yolo11("n", 1, SIZE, flavour=flavour, head="distances", channels=1, momentum=0.9, norm=norm)


def train(model: Any, lesson: Lesson) -> None:
    """The weights are shared with a network whose outputs are logits."""
    rate = falling(lesson, 0.002, BATCH_SIZE)
    loss = detection_loss(classes=1, input_size=SIZE)
    fit(with_head(model, "raw"), lesson, loss, batch_size=BATCH_SIZE, rate=rate, jit_compile=False)


def found(outputs: Sequence[Array], confidence: float) -> list[Detections]:
    """The objects of each image."""
    scores, distances = sorted(outputs, key=lambda array: array.shape[-1])
    return detect(decode(distances, (SIZE, SIZE)), scores, confidence=confidence)


def precision(outputs: Sequence[Array], truth: Array) -> float:
    """mAP50: the mean average precision where boxes overlap by half."""
    return mean_average_precision(found(outputs, 0.001), truth)


def draw_boxes(path: Path, shown: Shown) -> None:
    """The windows with the most nuclei: boxes of the truth, and those that the int8 file is sure of."""
    answers, truth = found(shown.answers, SURE), shown.split.test_y
    fullest = np.argsort(-(truth[..., 0] >= 0).sum(1), kind="stable")[:PICTURES]
    with canvas(path, f"{shown.title}\ngreen: truth, orange: kerasbn's int8 file", (13, 7.5)) as figure:
        for number, axes in zip(fullest, figure.subplots(2, -(-len(fullest) // 2), squeeze=False).flat, strict=False):
            picture = shown.split.test_x[number, ..., 0]
            axes.imshow(picture, cmap="gray", vmax=np.quantile(picture, 0.995))
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set(xlim=(0, SIZE), ylim=(SIZE, 0), autoscale_on=False)
            for row in truth[number][truth[number][:, 0] >= 0]:
                _draw_box(axes, row[1:], color="#00CC66", linewidth=2.5)
            for box, score in zip(answers[number].boxes, answers[number].scores, strict=True):
                _draw_box(axes, box, color="#FFB000", linewidth=1.2)
                axes.text(box[0] + 1, box[1] + 1, f"{score:.2f}", color="#FFB000", fontsize=7, va="top", clip_on=True)


def _draw_box(axes: Any, box: Array, **style: Any) -> None:
    left, top, right, bottom = box
    axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], **style)


DETECTION = Task(
    name="detection",
    title="Nuclei, YOLO11n",
    data="125 cell nuclei in one picture",
    licence="CC0",
    package="stardist",
    module="stardist",
    install="--no-deps stardist",
    unit="images",
    metric="mAP50",
    minutes=3.5,
    kilobytes=2917,
    seconds=150,
    epochs=4,
    read=read,
    build=build,
    train=train,
    score=precision,
    picture=draw_boxes,
)
