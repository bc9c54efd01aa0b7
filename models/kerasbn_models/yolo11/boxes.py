"""Overlap of boxes, with operations of Keras 3, which tf_keras' tensors take as well.

A box is left, top, right, bottom; the last axis has length 4.
"""

from __future__ import annotations

import math
from typing import Any

from kerasbn.lazy import LazyModule

ops: Any = LazyModule("keras.ops")
EPSILON = 1e-7


def intersection_over_union(first: Any, second: Any) -> Any:
    """``area(a and b) / area(a or b)``, one axis less than the boxes, which are broadcast."""
    shared = _area(ops.maximum(first[..., :2], second[..., :2]), ops.minimum(first[..., 2:], second[..., 2:]))
    areas = (_area(box[..., :2], box[..., 2:]) for box in (first, second))
    return shared / (sum(areas) - shared + EPSILON)


def complete_iou(first: Any, second: Any) -> Any:
    """``IoU - d^2 / c^2 - a v``: the distance of the centres, the diagonal around both, and how their shapes differ.

    Zheng et al., "Distance-IoU Loss: Faster and Better Learning for Bounding Box Regression", 2020. ``a`` is a constant
    for the gradient.
    """
    overlap = intersection_over_union(first, second)
    around = ops.maximum(first[..., 2:], second[..., 2:]) - ops.minimum(first[..., :2], second[..., :2])
    apart = (first[..., :2] + first[..., 2:] - second[..., :2] - second[..., 2:]) / 2
    distance = ops.sum(apart**2, -1) / (ops.sum(around**2, -1) + EPSILON)
    shapes = 4 / math.pi**2 * (_angle(second) - _angle(first)) ** 2
    weight = ops.stop_gradient(shapes / (shapes - overlap + 1 + EPSILON))
    return overlap - distance - weight * shapes


def _area(corner: Any, opposite: Any) -> Any:
    return ops.prod(ops.maximum(opposite - corner, 0.0), -1)


def _angle(box: Any) -> Any:
    size = box[..., 2:] - box[..., :2]
    return ops.arctan2(size[..., 0], size[..., 1] + EPSILON)
