"""The loss of YOLO11: ``7.5 CIoU + 0.5 binary cross entropy + 1.5 distribution focal loss``.

::

    model = yolo11("n", classes=3, input_size=128, head="raw", momentum=0.9)
    model.compile("adam", detection_loss(classes=3, input_size=128), jit_compile=False)
    model.fit(images, padded_labels(boxes, classes), ...)
    detector = with_head(model, "boxes")

Anchors are weighted by their target scores, and the sum is divided by the sum of those over the batch. Compile without
XLA: its first step takes a minute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kerasbn_models.yolo11.assignment import assign
from kerasbn_models.yolo11.boxes import complete_iou, ops
from kerasbn_models.yolo11.head import BINS, anchor_points

Array = npt.NDArray[Any]


def detection_loss(
    classes: int,
    input_size: int | tuple[int, int],
    *,
    box: float = 7.5,
    score: float = 0.5,
    distribution: float = 1.5,
    candidates: int = 10,
) -> Callable[[Any, Any], Any]:
    """A loss for ``compile``: labels (batch, objects, 5) and the ``"raw"`` output (batch, anchors, 64 + classes).

    Labels are class, left, top, right, bottom in pixels; class -1 fills the rows that are none: see `padded_labels`.
    The operations are those of Keras 3, which work on tf_keras' tensors too where Keras 3 runs on TensorFlow.

    Args:
        classes: How many classes there are.
        input_size: Height and width of the images, or one number for both.
        box: Weight of the overlap's loss.
        score: Weight of the classes' loss.
        distribution: Weight of the distances' loss.
        candidates: Anchors that an object takes at most.

    Returns:
        A function of labels and raw outputs: one number for each image, whose mean is the loss.
    """
    size = (input_size, input_size) if isinstance(input_size, int) else input_size
    points, strides = anchor_points(size)
    bins = np.arange(BINS, dtype="float32")

    def yolo11_loss(labels: Any, raw: Any) -> Any:
        labels, raw = ops.cast(labels, "float32"), ops.cast(raw, "float32")
        logits = ops.reshape(raw[..., : 4 * BINS], (-1, len(points), 4, BINS))
        reach = ops.sum(ops.softmax(logits) * bins, -1) * strides
        boxes = ops.concatenate([points - reach[..., :2], points + reach[..., 2:]], -1)
        answers = raw[..., 4 * BINS : 4 * BINS + classes]
        targets = assign(ops.sigmoid(answers), boxes, labels, points, candidates=candidates)
        target_boxes, target_scores = (ops.stop_gradient(target) for target in targets)
        weight = ops.sum(target_scores, -1)
        distances = ops.concatenate([points - target_boxes[..., :2], target_boxes[..., 2:] - points], -1) / strides
        parts = (
            box * ops.sum((1 - complete_iou(boxes, target_boxes)) * weight, 1),
            score * ops.sum(binary_cross_entropy(answers, target_scores), (1, 2)),
            distribution * ops.sum(distribution_focal_loss(logits, distances) * weight, 1),
        )
        images = ops.cast(ops.shape(raw)[0], "float32")
        return sum(parts) * images / ops.maximum(ops.sum(target_scores), 1.0)

    return yolo11_loss


def binary_cross_entropy(logits: Any, targets: Any) -> Any:
    """``-t log p - (1 - t) log(1 - p)`` with ``p = sigmoid(logits)``, finite for any logits."""
    return ops.maximum(logits, 0.0) - logits * targets + ops.log1p(ops.exp(-ops.abs(logits)))


def distribution_focal_loss(logits: Any, distances: Any) -> Any:
    """The cross entropy of the two bins around each distance, the nearer weighing more; the mean of the four sides.

    Li et al., "Generalized Focal Loss", 2020, equation 6.

    Args:
        logits: Of the bins (batch, anchors, 4, 16).
        distances: In strides (batch, anchors, 4); cut to what the bins reach.
    """
    distances = ops.clip(distances, 0.0, BINS - 1.01)
    lower = ops.floor(distances)
    share = (distances - lower)[..., None]
    index = ops.cast(lower, "int32")
    target = ops.one_hot(index, BINS) * (1 - share) + ops.one_hot(index + 1, BINS) * share
    return ops.mean(-ops.sum(target * ops.log_softmax(logits), -1), -1)


def padded_labels(boxes: Sequence[Array], kinds: Sequence[Array] | None = None) -> Array:
    """The labels that `detection_loss` takes: (images, objects, 5), rows of class -1 where an image has fewer.

    Args:
        boxes: For each image (objects, 4): left, top, right, bottom in pixels.
        kinds: For each image the classes of its objects; None if there is one class.
    """
    most = max([1, *(len(each) for each in boxes)])
    labels = np.zeros((len(boxes), most, 5), "float32")
    labels[..., 0] = -1
    for number, each in enumerate(boxes):
        labels[number, : len(each), 0] = 0 if kinds is None else kinds[number]
        labels[number, : len(each), 1:] = each
    return labels
