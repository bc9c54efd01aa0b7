"""Is the model better or worse than before, on samples that took no part in its new statistics?

With labels the loss of a sample is 1 where its class is wrong, else its mean squared error. Without labels it is how
far the outputs at inference are from those in training mode on the same batch: ``|y_infer - y_train|² / |y_train|²``,
the gap that "good in fit, bad in predict" means. Losses of the same samples are compared in pairs, so that chance
decides nothing: a difference counts from two standard errors on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbn.statistics.batches import Batch, leaves
from kerasbn.statistics.running import Array

STANDARD_ERRORS, FEWEST = 2.0, 8
"""From which difference and how many samples on there is a verdict."""
LEAST_CHANGE = 1e-6
LEAST_CHANGE_OF_GAP, LEAST_GAP = 0.5, 0.25
"""Relative, and of the outputs' variance: all samples of a batch share its noise, so that pairs say nothing of it."""
UNLIKE_GAP = 0.25
"""A gap beyond that with the statistics of the same data: its batches are not alike, so that none describes another."""
CLEARLY_BETTER = 4.0
"""Times less than before a gap must be even so; else the data are refused."""
GAP = "difference between training and inference"


@dataclass(frozen=True)
class Validation:
    """Losses on samples that were kept out.

    Attributes:
        metric: What was measured; smaller is better.
        before: Its mean with the old statistics.
        after: Its mean with the new ones.
        samples: How many samples.
        better: True, False, or None where there is no difference beyond chance.
    """

    metric: str
    before: float
    after: float
    samples: int
    better: bool | None

    def __str__(self) -> str:
        word = {True: "better", False: "worse", None: "no difference beyond chance"}[self.better]
        return f"{self.metric} on {self.samples} samples kept out: {self.before:.4g} -> {self.after:.4g} ({word})"


Run = Callable[[Any], Any]


def losses(batches: Sequence[Batch], infer: Run, train: Run) -> tuple[str, Array]:
    """What is measured, and the loss of each sample.

    Args:
        batches: Samples that were kept out.
        infer: The model at inference.
        train: The model with its BatchNorms in training mode.
    """
    found = [_of_batch(batch, infer, train) for batch in batches]
    metric = found[0][0]
    return metric, np.concatenate([values for name, values in found if name == metric])


def loss_sums(before: Array, after: Array) -> Array:
    """What `compare_sums` needs; the sums of several workers are added."""
    change = after - before
    return np.array([np.sum(before), np.sum(after), np.sum(change), np.sum(change**2), before.size], np.float64)


def compare_sums(metric: str, sums: Array) -> Validation:
    """What the losses of the same samples say, from `loss_sums`."""
    total_before, total_after, total_change, squares, number = map(float, sums)
    size = max(number, 1.0)
    before, after, change = total_before / size, total_after / size, total_change / size
    return Validation(metric, before, after, int(number), _verdict(metric, before, after, change, squares / size, size))


def _verdict(metric: str, before: float, after: float, change: float, square: float, size: float) -> bool | None:
    if not (math.isfinite(before) and math.isfinite(after)):
        return None if math.isfinite(before) == math.isfinite(after) else math.isfinite(after)
    if size < FEWEST:
        return None
    spread = math.sqrt(max(square - change**2, 0.0) / max(size - 1.0, 1.0))
    bound = max(STANDARD_ERRORS * spread, LEAST_CHANGE * max(abs(before), LEAST_CHANGE))
    if metric == GAP and after > UNLIKE_GAP and after > before / CLEARLY_BETTER:
        return False
    if metric == GAP:
        bound = max(bound, LEAST_CHANGE_OF_GAP * before, LEAST_GAP)
    return None if abs(change) <= bound else change < 0


def _of_batch(batch: Batch, infer: Run, train: Run) -> tuple[str, Array]:
    outputs = [_numpy(leaf) for leaf in leaves(infer(batch.inputs))]
    labels = None if batch.labels is None else [np.asarray(leaf) for leaf in leaves(batch.labels)]
    if labels is not None and len(labels) == len(outputs):
        named = [of_labels(output, label) for output, label in zip(outputs, labels, strict=True)]
        if None not in named:
            kept = [each for each in named if each is not None]
            return kept[0][0], np.sum([values for _, values in kept], axis=0)
    return GAP, gap(outputs, [_numpy(leaf) for leaf in leaves(train(batch.inputs))])


def gap(outputs: Sequence[Array], trained: Sequence[Array]) -> Array:
    """Of each sample, ``|outputs - trained|² / |trained|²`` over all outputs, the scale being that of the batch."""
    with np.errstate(invalid="ignore", over="ignore"):
        parts = []
        for one, other in zip(outputs, trained, strict=True):
            scale = float(np.mean((other - _center(other)) ** 2))
            scale = scale if scale > 0 else float(np.mean(other**2)) or 1.0
            parts.append(np.mean((one - other).reshape(len(one), -1) ** 2, axis=1) / scale)
        return np.asarray(np.mean(parts, axis=0))


def of_labels(output: Array, label: Any) -> tuple[str, Array] | None:
    """What is measured and the loss of each sample; None where the labels do not fit the outputs."""
    if output.ndim >= 2 and output.shape[-1] > 1 and label.dtype.kind in "iub" and _indices(output, label):
        wrong = np.argmax(output, -1) != label.reshape(output.shape[:-1])
        return "share of wrong classes", wrong.reshape(len(output), -1).mean(axis=1)
    if label.size != output.size:
        return None
    label = label.astype(np.float64).reshape(output.shape)
    if output.ndim >= 2 and output.shape[-1] > 1 and _one_hot(label):
        wrong = np.argmax(output, -1) != np.argmax(label, -1)
        return "share of wrong classes", wrong.reshape(len(output), -1).mean(axis=1)
    if output.shape[-1] == 1 and set(np.unique(label)) <= {0.0, 1.0}:
        threshold = 0.5 if output.min() >= 0 and output.max() <= 1 else 0.0
        return "share of wrong classes", ((output > threshold) != label).reshape(len(output), -1).mean(axis=1)
    return "mean squared error", ((output - label) ** 2).reshape(len(output), -1).mean(axis=1)


def _indices(output: Array, label: Any) -> bool:
    return bool(label.size * output.shape[-1] == output.size)


def _one_hot(label: Array) -> bool:
    return bool(set(np.unique(label)) <= {0.0, 1.0} and (label.sum(-1) == 1).all())


def _center(values: Array) -> Array:
    return values.mean(axis=0, keepdims=True)  # type: ignore[no-any-return]


def _numpy(value: Any) -> Array:
    if hasattr(value, "dtype") and "bfloat16" in str(value.dtype):
        value = np.asarray(value).astype(np.float32)
    return np.asarray(value, np.float64)
