"""Which anchor is to find which object: task-aligned assignment.

::

    alignment = score^alpha * CIoU^beta          of the object's class and box, as the network predicts them now
    an object takes the best ``candidates`` anchors whose centre lies inside its box;
    an anchor that several objects want goes to the object around it that its box overlaps most;
    target score = alignment / the object's best alignment * the object's best CIoU

An anchor whose alignment is 0 is never taken: ultralytics fills up the candidates with such ones, at random.

Feng et al., "TOOD: Task-aligned One-stage Object Detection", 2021, section 3.3.
"""

from __future__ import annotations

from typing import Any

from kerasbn_models.yolo11.boxes import EPSILON, complete_iou, ops


def assign(
    scores: Any,
    boxes: Any,
    labels: Any,
    anchors: Any,
    *,
    candidates: int = 10,
    alpha: float = 0.5,
    beta: float = 6.0,
) -> tuple[Any, Any]:
    """The target box (batch, anchors, 4) and target scores (batch, anchors, classes) of every anchor.

    The scores of an anchor that no object takes are 0.

    Args:
        scores: Predicted, from 0 to 1 (batch, anchors, classes).
        boxes: Predicted, in pixels (batch, anchors, 4).
        labels: Objects (batch, objects, 5): class, left, top, right, bottom; class -1 fills the rows that are none.
        anchors: Centres in pixels (anchors, 2).
        candidates: Anchors that an object takes at most.
        alpha: Weight of the score.
        beta: Weight of the overlap.
    """
    kinds, truth = ops.cast(labels[..., 0], "int32"), labels[..., 1:]
    classes, objects = scores.shape[-1], labels.shape[1]
    allowed = _inside(truth, anchors) * ops.cast(kinds >= 0, "float32")[..., None]
    overlap = ops.maximum(complete_iou(truth[:, :, None], boxes[:, None]), 0.0) * allowed
    wanted = ops.one_hot(ops.maximum(kinds, 0), classes)
    alignment = ops.einsum("bmc,bac->bma", wanted, scores) ** alpha * overlap**beta * allowed
    taken = _best(alignment, candidates) * allowed
    taken = _one_owner(taken, overlap, objects)
    owner = ops.argmax(taken, 1)
    best_alignment = ops.max(alignment * taken, -1, keepdims=True)
    best_overlap = ops.max(overlap * taken, -1, keepdims=True)
    strength = ops.max(alignment * taken * best_overlap / (best_alignment + 1e-9), 1)
    kind = ops.take_along_axis(ops.maximum(kinds, 0), owner, 1)
    target_boxes = ops.take_along_axis(truth, ops.repeat(owner[..., None], 4, -1), 1)
    return target_boxes, ops.one_hot(kind, classes) * strength[..., None]


def _inside(truth: Any, anchors: Any) -> Any:
    """1 where an anchor's centre lies in an object's box: (batch, objects, anchors)."""
    reach = ops.concatenate([anchors - truth[:, :, None, :2], truth[:, :, None, 2:] - anchors], -1)
    return ops.cast(ops.min(reach, -1) > EPSILON, "float32")


def _best(alignment: Any, candidates: int) -> Any:
    """1 for the best anchors of each object, if their boxes meet its own at all."""
    least = ops.top_k(alignment, min(candidates, alignment.shape[-1]))[0][..., -1:]
    return ops.cast(ops.logical_and(alignment >= least, alignment > 0), "float32")


def _one_owner(taken: Any, overlap: Any, objects: int) -> Any:
    """The same, with one object for an anchor that several want; as in ultralytics, it need not be one of these."""
    most = ops.transpose(ops.one_hot(ops.argmax(overlap, 1), objects), (0, 2, 1))
    return ops.where(ops.sum(taken, 1, keepdims=True) > 1, most, taken)
