"""Metrics by name: each takes labels and outputs, samples first, and gives one number.

============  ======  ==========================================================================================
name          better  what it is
============  ======  ==========================================================================================
``accuracy``  more    ``mean(argmax(y) == label)``; with one output, whether it is on the label's side
``top5``      more    ``mean(label in the 5 largest of y)``
``mae``       less    ``mean|y - label|``
``auc``       more    ``P(y of a positive > y of a negative)``; with several classes the mean of one against the rest
``iou``       more    ``intersection / union`` of the places of a class, the mean of all classes that occur
``map``       more    ``sum(precision * gain of recall)`` down the ranking of a class, the mean of the classes
============  ======  ==========================================================================================

Labels are numbers of classes, or one-hot. Outputs may be scores or chances. ``map`` is that of classification and of
several labels; boxes need a function of your own.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from kerasbn.errors import InvalidArgumentError
from kerasbn_export.arrays import Array

TOP = 5


def accuracy(labels: Array, outputs: Array) -> float:
    """``mean(argmax(y) == label)``."""
    return float(np.mean(_classes(outputs) == _numbers(labels, outputs)))


def top5(labels: Array, outputs: Array) -> float:
    """``mean(label in the 5 largest of y)``."""
    if outputs.shape[-1] <= TOP:
        raise InvalidArgumentError(f"Metric 'top5' needs more than {TOP} classes; found {outputs.shape[-1]}.")
    largest = np.argpartition(outputs, -TOP, axis=-1)[..., -TOP:]
    return float(np.mean((largest == _numbers(labels, outputs)[..., None]).any(-1)))


def mae(labels: Array, outputs: Array) -> float:
    """``mean|y - label|``."""
    wanted = labels.reshape(outputs.shape) if labels.size == outputs.size else labels
    if wanted.shape != outputs.shape:
        raise InvalidArgumentError(f"Labels of shape {labels.shape} do not go with outputs of shape {outputs.shape}.")
    return float(np.mean(np.abs(outputs.astype(np.float64) - wanted)))


def auc(labels: Array, outputs: Array) -> float:
    """``P(y of a positive > y of a negative)``, ties counted half."""
    return _mean([_area(wanted, scores) for wanted, scores in _against_the_rest(labels, outputs)])


def iou(labels: Array, outputs: Array) -> float:
    """``intersection / union``, the mean of all classes that occur."""
    found, wanted = _classes(outputs), _numbers(labels, outputs)
    classes = np.union1d(found, wanted)
    shares = [np.sum((found == c) & (wanted == c)) / np.sum((found == c) | (wanted == c)) for c in classes]
    return float(np.mean(shares))


def mean_average_precision(labels: Array, outputs: Array) -> float:
    """``sum(precision * gain of recall)`` down the ranking of each class."""
    return _mean([_precision(wanted, scores) for wanted, scores in _against_the_rest(labels, outputs)])


METRICS: dict[str, Callable[[Array, Array], float]] = {
    "accuracy": accuracy,
    "top5": top5,
    "mae": mae,
    "auc": auc,
    "iou": iou,
    "map": mean_average_precision,
}
LESS_IS_BETTER = frozenset({"mae"})


def _classes(outputs: Array) -> Array:
    """The class that each output says; a single one says yes above a half, or above 0 where it is no chance."""
    if outputs.ndim > 1 and outputs.shape[-1] > 1:
        found: Array = outputs.argmax(-1)
        return found
    chances = outputs.size > 0 and outputs.min() >= 0 and outputs.max() <= 1
    flat = outputs[..., 0] if outputs.ndim > 1 else outputs
    return (flat > (0.5 if chances else 0.0)).astype(np.int64)


def _numbers(labels: Array, outputs: Array) -> Array:
    """The labels as numbers of classes, of the shape that `_classes` has."""
    shape = outputs.shape[:-1] if outputs.ndim > 1 else outputs.shape
    if labels.shape == outputs.shape and outputs.ndim > 1 and outputs.shape[-1] > 1:
        numbers: Array = labels.argmax(-1)
        return numbers
    if labels.size != math.prod(shape):
        raise InvalidArgumentError(f"Labels of shape {labels.shape} do not go with outputs of shape {outputs.shape}.")
    return np.rint(labels.reshape(shape)).astype(np.int64)


def _against_the_rest(labels: Array, outputs: Array) -> list[tuple[Array, Array]]:
    """For each class, which samples are of it, and their scores; of two classes the second alone."""
    if outputs.ndim == 1 or outputs.shape[-1] == 1:
        return [(_numbers(labels, outputs).ravel() > 0, outputs.ravel())]
    scores = outputs.reshape(-1, outputs.shape[-1])
    if labels.shape == outputs.shape:  # one-hot, or several labels for one sample
        wanted = labels.reshape(scores.shape) > 0.5
    else:
        wanted = _numbers(labels, outputs).reshape(-1, 1) == np.arange(scores.shape[1])
    first = 1 if scores.shape[1] == 2 and labels.shape != outputs.shape else 0
    return [(wanted[:, c], scores[:, c]) for c in range(first, scores.shape[1])]


def _area(wanted: Array, scores: Array) -> float:
    """By ranks: ``(sum of the positives' ranks - n(n + 1)/2) / (n*m)``."""
    positive, negative = int(wanted.sum()), int((~wanted).sum())
    if not positive or not negative:
        return math.nan
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place.ravel()]
    return float((ranks[wanted].sum() - positive * (positive + 1) / 2) / (positive * negative))


def _precision(wanted: Array, scores: Array) -> float:
    if not wanted.any():
        return math.nan
    order = np.argsort(-scores, kind="stable")
    hits = wanted[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precision[hits].mean())


def _mean(values: list[float]) -> float:
    """Over the classes that can be judged; NaN where there is none."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
