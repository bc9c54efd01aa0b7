"""Cell nuclei as masks: a U-Net, and Fast-SCNN, which was made for streets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.demo.task import Lesson, Shown, Task
from kerasbn_export.demo.tasks.canvas import canvas
from kerasbn_export.demo.tasks.orientations import oriented
from kerasbn_export.demo.tasks.training import falling, fit, mask_loss
from kerasbn_models import fast_scnn, unet
from kerasbn_models.data import Split, nuclei
from kerasbn_models.norm import Norm

BATCH_SIZE = 16
PICTURES = 6
"""Windows that the picture shows."""


def read(seed: int, *, size: int, stride: int) -> Split:
    """Windows and masks of 0 and 1; the training part in all eight orientations."""
    split = nuclei(size=size, stride=stride)
    train_y, test_y = ((y > 0)[..., None].astype("float32") for y in (split.train_y, split.test_y))
    train_x, train_y = oriented(split.train_x), oriented(train_y)
    order = np.random.default_rng(seed).permutation(len(train_x))
    return Split(train_x[order], train_y[order], split.test_x, test_y)


def build_unet(flavour: str, norm: Norm) -> Any:
    """A small U-Net with 17 BatchNorms."""
    return unet(flavour, input_shape=(64, 64, 1), filters=12, depth=3, norm=norm)


def build_fast_scnn(flavour: str, norm: Norm) -> Any:
    """Fast-SCNN with 44 BatchNorms."""
    return fast_scnn(flavour, input_shape=(128, 128, 1), classes=1, norm=norm)


def train(model: Any, lesson: Lesson, *, rate: float) -> None:
    """Adam with a falling rate."""
    schedule = falling(lesson, rate, BATCH_SIZE)
    fit(model, lesson, mask_loss(lesson), batch_size=BATCH_SIZE, rate=schedule, jit_compile=False)


def overlap(outputs: Sequence[Array], masks: Array) -> float:
    """Intersection over union of the pixels called nucleus and those that are."""
    found, truth = outputs[0] > 0, masks > 0
    return int(np.sum(found & truth)) / max(1, int(np.sum(found | truth)))


def draw_masks(path: Path, shown: Shown) -> None:
    """The windows with the most nuclei: the picture, the truth, and what the int8 file finds."""
    split, answers = shown.split, shown.answers[0][..., 0] > 0
    fullest = np.argsort(-split.test_y.sum((1, 2, 3)))[:PICTURES]
    with canvas(path, shown.title, (2.3 * len(fullest) + 1, 7.6)) as figure:
        rows = figure.subplots(3, len(fullest), squeeze=False)
        for column, number in enumerate(fullest):
            window, truth = split.test_x[number, ..., 0], split.test_y[number, ..., 0] > 0
            score = overlap([shown.answers[0][number]], split.test_y[number])
            layers = (("picture", None), ("truth", truth), (f"int8 file, IoU {score:.2f}", answers[number]))
            for axes, (name, mask) in zip(rows[:, column], layers, strict=True):
                axes.imshow(window, cmap="gray", vmax=np.quantile(window, 0.995))
                axes.set_title(name, fontsize=10)
                axes.axis("off")
                if mask is not None:
                    axes.imshow(_tint(mask))
                    axes.contour(mask, levels=[0.5], colors="#FFB000", linewidths=1.2)


def _tint(mask: Array) -> Array:
    """A transparent colour where the mask is set."""
    return np.where(mask[..., None], np.array([1.0, 0.69, 0.0, 0.3]), 0.0)


task = partial(
    Task,
    licence="CC0",
    package="stardist",
    module="stardist",
    install="--no-deps stardist",
    unit="images",
    metric="IoU",
    score=overlap,
    picture=draw_masks,
)

SEGMENTATION = task(
    name="nuclei-segmentation",
    title="Nuclei, U-Net",
    data="125 cell nuclei in one picture",
    minutes=2,
    kilobytes=305,
    seconds=65,
    epochs=5,
    read=partial(read, size=64, stride=32),
    build=build_unet,
    train=partial(train, rate=0.004),
)

SCENE = task(
    name="scene",
    title="Nuclei (no streets), Fast-SCNN",
    data="the same nuclei: no package has labelled streets",
    minutes=2,
    kilobytes=1491,
    seconds=65,
    epochs=15,
    read=partial(read, size=128, stride=64),
    build=build_fast_scnn,
    train=partial(train, rate=0.004),
)
