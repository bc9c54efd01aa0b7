"""The detection head: logits of every anchor, and what a deployed network makes of them.

A side's distance from the anchor is the expectation of 16 bins: Li et al., "Generalized Focal Loss", 2020.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kerasbn.errors import InvalidArgumentError
from kerasbn.flavour import flavour_of
from kerasbn_models.yolo11.blocks import NormFactory, conv, depthwise

STRIDES = (8, 16, 32)
"""Pixels of the picture for each pixel of a feature map."""
BINS = 16
"""A distance lies between 0 and 15 strides."""
HEADS = ("boxes", "distances", "raw")

Array = npt.NDArray[np.float32]


def with_head(model: Any, head: str = "boxes") -> Any:
    """The same network, layers and weights shared, with another head: what is trained is deployed like this.

    Args:
        model: A model that `yolo11` made, of any head.
        head: ``"boxes"``, ``"distances"`` or ``"raw"``: see `yolo11`.

    Raises:
        InvalidArgumentError: The head is not known.
    """
    keras = flavour_of(model).keras
    boxes, scores = (model.get_layer(name).output for name in ("box_logits", "score_logits"))
    outputs = outputs_of(keras.layers, boxes, scores, model.input_shape[1:3], checked_head(head))
    return keras.Model(model.input, outputs, name=model.name)


def head_logits(
    layers: Any, norm: NormFactory, levels: Sequence[Any], classes: int, input_size: tuple[int, int]
) -> tuple[Any, Any]:
    """Logits of the distances (batch, anchors, 64) and of the classes (batch, anchors, classes)."""
    channels = int(levels[0].shape[-1])
    box_filters, class_filters = max(16, channels // 4, 4 * BINS), max(channels, min(classes, 100))
    boxes, scores = [], []
    for number, x in enumerate(levels):
        prior = math.log(5 / classes / (max(input_size) / STRIDES[number]) ** 2)
        boxes.append(box_branch(layers, norm, x, box_filters, name=f"model.23.cv2.{number}"))
        scores.append(class_branch(layers, norm, x, class_filters, classes, prior, name=f"model.23.cv3.{number}"))
    return (
        layers.Concatenate(axis=1, name="box_logits")(boxes),
        layers.Concatenate(axis=1, name="score_logits")(scores),
    )


def box_branch(layers: Any, norm: NormFactory, x: Any, filters: int, *, name: str) -> Any:
    """3x3, 3x3 and 1x1 to 16 bins for each of four sides."""
    x = conv(layers, norm, x, filters, 3, name=f"{name}.0")
    x = conv(layers, norm, x, filters, 3, name=f"{name}.1")
    return _answers(layers, x, 4 * BINS, 1.0, name)


def class_branch(layers: Any, norm: NormFactory, x: Any, filters: int, classes: int, prior: float, *, name: str) -> Any:
    """(Depthwise 3x3, 1x1) twice and 1x1 to the classes; ``prior`` is what the bias starts with."""
    for step in (0, 1):
        x = depthwise(layers, norm, x, 3, name=f"{name}.{step}.0")
        x = conv(layers, norm, x, filters, name=f"{name}.{step}.1")
    return _answers(layers, x, classes, prior, name)


def _answers(layers: Any, x: Any, filters: int, bias: float, name: str) -> Any:
    """A 1x1 convolution with bias, and one row for each pixel."""
    pixels = int(x.shape[1]) * int(x.shape[2])
    layer = layers.Conv2D(filters, 1, name=f"{name}.2")
    x = layer(x)
    layer.set_weights([layer.get_weights()[0], np.full(filters, bias, "float32")])
    return layers.Reshape((pixels, filters), name=f"{name}.rows")(x)


def outputs_of(layers: Any, boxes: Any, scores: Any, input_size: tuple[int, int], head: str) -> Any:
    """The outputs of a head, from both logits."""
    if head == "raw":
        return layers.Concatenate(name="raw")([boxes, scores])
    scores = layers.Activation("sigmoid", name="scores")(scores)
    if head == "distances":
        return {"distances": expected_distances(layers, boxes, name="distances"), "scores": scores}
    anchors, strides = anchor_points(input_size)
    distances = expected_distances(layers, boxes, name="expected")
    boxes = distances * (strides * np.array([-1, -1, 1, 1], "float32")) + np.tile(anchors, 2)
    return {"boxes": layers.Activation("linear", name="boxes")(boxes), "scores": scores}


def expected_distances(layers: Any, logits: Any, *, name: str) -> Any:
    """``sum(i softmax(logits)_i)`` over 16 bins, as a 1x1 convolution that is never trained."""
    anchors = int(logits.shape[1])
    x = layers.Reshape((anchors, 4, BINS), name="model.23.dfl.bins")(logits)
    x = layers.Softmax(name="model.23.dfl.softmax")(x)
    expectation = layers.Conv2D(1, 1, use_bias=False, trainable=False, name="model.23.dfl.conv")
    x = expectation(x)
    expectation.set_weights([np.arange(BINS, dtype="float32").reshape(1, 1, BINS, 1)])
    return layers.Reshape((anchors, 4), name=name)(x)


def anchor_points(input_size: tuple[int, int]) -> tuple[Array, Array]:
    """Every anchor's centre in pixels (anchors, 2), x and y, and its stride (anchors, 1)."""
    points, strides = [], []
    for stride in STRIDES:
        y, x = np.meshgrid(*(np.arange(size // stride) + 0.5 for size in input_size), indexing="ij")
        points.append(np.stack([x, y], -1).reshape(-1, 2) * stride)
        strides.append(np.full((x.size, 1), stride))
    return np.concatenate(points).astype("float32"), np.concatenate(strides).astype("float32")


def decode(distances: Array, input_size: tuple[int, int]) -> Array:
    """Boxes in pixels (batch, anchors, 4) of the output ``distances``; the numpy part of a deployed detector."""
    anchors, strides = anchor_points(input_size)
    reach = distances * strides
    return np.concatenate([anchors - reach[..., :2], anchors + reach[..., 2:]], -1)


def checked_head(head: str) -> str:
    """The head, if it is one.

    Raises:
        InvalidArgumentError: It is not.
    """
    if head not in HEADS:
        raise InvalidArgumentError(f"head={head!r} is not known; accepted: {', '.join(HEADS)}.")
    return head
