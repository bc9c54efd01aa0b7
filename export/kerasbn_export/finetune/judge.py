"""What a quantized file is worth on samples kept out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.export.scoring import scorer, some_of
from kerasbn_export.finetune.records import Worth
from kerasbn_export.metrics.named import accuracy
from kerasbn_export.verification.sides.matching import match_sides
from kerasbn_export.verification.sides.open import open_runnable


def judge(model: Any, samples: Calibration, labels: Array | None) -> Callable[[bytes], Worth]:
    """A function that gives the worth of a file.

    Args:
        model: The float model.
        samples: What it is judged on.
        labels: The classes of these samples; None where there are none.
    """
    noise = scorer(model, some_of(samples))
    return lambda data: Worth(noise(data), None if labels is None else _accuracy_of_file(model, data, samples, labels))


def accuracy_of(model: Any, samples: Calibration, labels: Array) -> float:
    """The part of the labels that a Keras model gets right."""
    return accuracy(labels, open_runnable(model, backend="xnnpack", allow_code=False).run(list(samples.arrays))[0])


def _accuracy_of_file(model: Any, data: bytes, samples: Calibration, labels: Array) -> float:
    reference = open_runnable(model, backend="xnnpack", allow_code=False)
    with TemporaryDirectory(prefix="kerasbn_") as folder:
        path = Path(folder, "candidate.tflite")
        path.write_bytes(data)
        sides, _, _ = match_sides(reference, open_runnable(path, backend="xnnpack", allow_code=False))
        found = sides.candidate.run(sides.for_candidate(list(samples.arrays)))
    return accuracy(labels, found[sides.pairs[0]])


def classes(labels: Array | None, outputs: Sequence[Any]) -> Array | None:
    """The labels as classes of the one output; None where they are something else."""
    if labels is None or len(outputs) != 1:
        return None
    size = outputs[0].shape[-1]
    if labels.ndim == 1 or (labels.ndim == 2 and labels.shape[1] == 1):
        return labels.reshape(-1).astype(int) if np.all(labels == np.rint(labels)) else None
    one_hot = labels.shape[1:] == (size,) and np.all((labels.max(-1) == 1) & (labels.sum(-1) == 1))
    return labels.argmax(-1) if one_hot else None
