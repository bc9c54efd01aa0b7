"""From the outputs of a detector to a list of objects, and how good the list is; numpy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Detections:
    """The objects found in one image, the surest first.

    Attributes:
        boxes: Left, top, right, bottom in pixels (objects, 4).
        scores: From 0 to 1 (objects,).
        kinds: The number of each one's class (objects,).
    """

    boxes: Array
    scores: Array
    kinds: Array

    def __len__(self) -> int:
        return len(self.boxes)


def detect(
    boxes: Array, scores: Array, *, confidence: float = 0.25, overlap: float = 0.7, most: int = 300
) -> list[Detections]:
    """The objects of each image: the best class of every anchor, without the boxes that a surer one covers.

    Args:
        boxes: Output of a detector (batch, anchors, 4), or `decode` of one with distances.
        scores: Output of the same (batch, anchors, classes).
        confidence: Boxes with a lower score are left out; 0.001 for `mean_average_precision`.
        overlap: A box whose IoU with a surer one of its class is larger is left out.
        most: Objects of an image at most.
    """
    return [_of_image(*image, confidence, overlap, most) for image in zip(boxes, scores, strict=True)]


def _of_image(boxes: Array, scores: Array, confidence: float, overlap: float, most: int) -> Detections:
    kinds, best = scores.argmax(-1), scores.max(-1)
    order = np.argsort(-best, kind="stable")
    order = order[best[order] >= confidence]
    kept = order[suppress(boxes[order], kinds[order], overlap)][:most]
    return Detections(boxes[kept], best[kept], kinds[kept])


def suppress(boxes: Array, kinds: Array, overlap: float) -> Array:
    """The numbers of the boxes, the surest first, that no surer one of the same class covers."""
    left = np.arange(len(boxes))
    kept = []
    while len(left):
        first, rest = left[0], left[1:]
        kept.append(first)
        covered = (iou(boxes[first], boxes[rest]) > overlap) & (kinds[rest] == kinds[first])
        left = rest[~covered]
    return np.array(kept, "int64")


def iou(box: Array, boxes: Array) -> Array:
    """The intersection over union of one box with each of several."""
    extent = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.prod(np.maximum(extent, 0), -1)
    area = np.prod(box[2:] - box[:2]) + np.prod(boxes[:, 2:] - boxes[:, :2], -1) - shared
    return np.asarray(np.divide(shared, area, out=np.zeros(len(boxes)), where=area > 0))


def mean_average_precision(found: Sequence[Detections], labels: Array, *, overlap: float = 0.5) -> float:
    """The area under precision over recall at one overlap (mAP50); its mean over the classes that occur.

    A detection is right if its IoU with an object of its class, which no surer detection has taken, is at least
    ``overlap``. Precision at a recall is the best at that recall or a higher one (Everingham et al., "The PASCAL Visual
    Object Classes Challenge", 2010, all points).

    Args:
        found: For each image, from `detect` with a low confidence.
        labels: The objects, as `padded_labels` makes them.
        overlap: What counts as found.
    """
    kinds = np.unique(labels[..., 0][labels[..., 0] >= 0])
    precisions = [_average_precision(found, labels, kind, overlap) for kind in kinds]
    return float(np.mean(precisions)) if precisions else 0.0


def _average_precision(found: Sequence[Detections], labels: Array, kind: float, overlap: float) -> float:
    results: list[tuple[float, bool]] = []
    objects = 0
    for image, rows in zip(found, labels, strict=True):
        truth = rows[rows[:, 0] == kind][:, 1:]
        mine = image.kinds == kind
        results += zip(image.scores[mine], _matches(image.boxes[mine], truth, overlap), strict=True)
        objects += len(truth)
    right = np.array([is_right for _, is_right in sorted(results, key=lambda result: -result[0])], bool)
    hits = np.cumsum(right)
    precision = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
    return float(np.sum(precision[right]) / objects)


def _matches(boxes: Array, truth: Array, overlap: float) -> list[bool]:
    """Whether each box, the surest first, finds an object that is still free."""
    free = np.ones(len(truth), bool)
    matches = []
    for box in boxes:
        overlaps = np.where(free, iou(box, truth), -1.0)
        best = int(overlaps.argmax()) if len(truth) else -1
        matches.append(best >= 0 and bool(overlaps[best] >= overlap))
        if matches[-1]:
            free[best] = False
    return matches
