"""From labels and the outputs of models to a report."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasbn.errors import InvalidArgumentError
from kerasbn_export.metrics.bootstrap import interval, samples_of
from kerasbn_export.metrics.metric import Metric, is_share, read_metric
from kerasbn_export.metrics.records import PERCENT, MetricReport, Scored


@dataclass(frozen=True)
class Measuring:
    """What is measured, on what, and what is accepted of it.

    Attributes:
        metric: See `read_metric`.
        labels: Of the samples: an array, or a list or dict of arrays for a function of the user's.
        max_drop: See `MetricReport`.
        seed: Of the bootstrap.
    """

    metric: Metric
    labels: Any
    max_drop: float | None = None
    seed: int = 0


def measuring(metric: Any, labels: Any, max_drop: float | None, seed: int) -> Measuring:
    """The same from what a user gives.

    Raises:
        InvalidArgumentError: One of them is missing or not accepted.
    """
    if metric is None:
        raise InvalidArgumentError("Labels or max_drop were given without a metric; accepted: metric='accuracy', ...")
    if labels is None:
        raise InvalidArgumentError(f"Metric {metric!r} compares outputs with labels; give labels.")
    return Measuring(read_metric(metric), _arrays(labels), max_drop, seed)


def score(asked: Measuring, outputs: Mapping[str, Any], judged: str) -> MetricReport:
    """The metric of each model, and how it differs from that of the first.

    Args:
        asked: What is measured.
        outputs: By the name of the model: an array, or a list of arrays where it has several outputs.
        judged: The name of the one that the gate is about.

    Raises:
        InvalidArgumentError: There are more or fewer labels than outputs, or the original has no finite value.
    """
    (first, original), *others = outputs.items()
    count = samples_of(original)
    check_count(asked, count)
    base = asked.metric(asked.labels, original)
    if not math.isfinite(base):
        raise InvalidArgumentError(
            f"Metric {asked.metric.name!r} of the original is {base}; accepted: a finite number."
        )
    scored = [Scored(first, base)]
    for name, found in others:
        value = asked.metric(asked.labels, found)
        low, high = interval(asked.metric, asked.labels, original, found, seed=asked.seed)
        scored.append(Scored(name, value, value - base, low, high))
    share = is_share(asked.metric, base)
    about = (asked.metric.name, asked.metric.less_is_better, share, count, asked.seed)
    return MetricReport(*about, tuple(scored), judged, asked.max_drop)


def check_count(asked: Measuring, count: int) -> None:
    """Raises `InvalidArgumentError` where there are more or fewer labels than samples."""
    if samples_of(asked.labels) != count:
        raise InvalidArgumentError(f"There are {samples_of(asked.labels):,} labels for {count:,} samples.")


def drop(asked: Measuring, original: Any) -> Callable[[Any], float]:
    """A function that gives by how much outputs are worse than the original's, in percentage points of a share.

    Args:
        asked: What is measured.
        original: The outputs of the original.
    """
    base = asked.metric(asked.labels, original)
    unit = PERCENT if is_share(asked.metric, base) else 1

    def worse(found: Any) -> float:
        less = base - asked.metric(asked.labels, found)
        return unit * (-less if asked.metric.less_is_better else less) + 0.0

    return worse


def _arrays(labels: Any) -> Any:
    if isinstance(labels, dict):
        return {name: np.asarray(value) for name, value in labels.items()}
    several = isinstance(labels, (list, tuple)) and all(
        isinstance(value, np.ndarray) and value.ndim for value in labels
    )
    return [np.asarray(value) for value in labels] if several and labels else np.asarray(labels)
