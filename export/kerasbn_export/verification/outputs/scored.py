"""The user's own metric of both sides."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasbn.errors import InvalidArgumentError
from kerasbn_export.calibration.array_file import read_arrays
from kerasbn_export.metrics.records import MetricReport
from kerasbn_export.metrics.score import Measuring, measuring, score
from kerasbn_export.verification.sides.sides import Batch, Sides

REFERENCE, CANDIDATE = "reference", "candidate"


def measuring_of(metric: Any, data: Any, labels: Any, max_drop: float | None, seed: int) -> Measuring | None:
    """What is measured; None if nothing is.

    Raises:
        InvalidArgumentError: Something of it is missing or not accepted.
    """
    if metric is None and labels is None and max_drop is None:
        return None
    if data is None:
        raise InvalidArgumentError(f"Metric {metric!r} is measured on samples with labels; give data, and labels.")
    return measuring(metric, read_labels(labels), max_drop, seed)


def read_labels(labels: Any) -> Any:
    """The labels, from a file where a path was given."""
    return read_arrays(labels) if isinstance(labels, (str, Path)) else labels


def measured(sides: Sides, batches: Sequence[Batch], asked: Measuring) -> MetricReport:
    """The metric of both sides on the same samples."""
    found: dict[str, list[list[Any]]] = {REFERENCE: [], CANDIDATE: []}
    for batch in batches:
        for arrays in batch.chunks():
            reference = sides.reference.run(arrays)
            candidate = sides.candidate.run(sides.for_candidate(arrays))
            found[REFERENCE].append([reference[i] for i, _ in enumerate(sides.pairs)])
            found[CANDIDATE].append([candidate[j] for j in sides.pairs])
    return score(asked, {name: joined(parts) for name, parts in found.items()}, CANDIDATE)


def joined(parts: Sequence[Sequence[Any]]) -> Any:
    """The outputs of several chunks: an array, or a list where there are several outputs."""
    whole = [np.concatenate(values) for values in zip(*parts, strict=True)]
    return whole[0] if len(whole) == 1 else whole
