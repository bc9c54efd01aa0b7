"""How good a quantized file is: signal to noise on samples, against the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kerasbn_export.calibration.samples import Calibration

JUDGING = 64
"""Samples that a file is judged on that nobody asked to be, at most."""


def some_of(samples: Calibration) -> Calibration:
    """Some of the samples, from the first to the last."""
    rows = np.unique(np.linspace(0, len(samples) - 1, JUDGING).round().astype(int))
    return replace(samples, arrays=tuple(array[rows] for array in samples.arrays))


def scorer(model: Any, samples: Calibration) -> Callable[[bytes], float]:
    """A function that gives the SQNR of a file in dB: of its worst output, before a softmax or sigmoid.

    Args:
        model: What the file is to compute, a model of either Keras.
        samples: What they are compared on.
    """
    from kerasbn_export.verification.sides.matching import match_sides
    from kerasbn_export.verification.sides.open import open_runnable

    reference, arrays = open_runnable(model, backend="xnnpack", allow_code=False), list(samples.arrays)
    exact = _scores(reference, arrays)

    def score(data: bytes) -> float:
        with TemporaryDirectory(prefix="kerasbn_") as folder:
            path = Path(folder, "candidate.tflite")
            path.write_bytes(data)
            sides, _, _ = match_sides(reference, open_runnable(path, backend="xnnpack", allow_code=False))
            found = _scores(sides.candidate, sides.for_candidate(arrays))
        return min(_sqnr(exact[i], found[j]) for i, j in enumerate(sides.pairs))

    return score


def _sqnr(exact: tuple[Any, Any], found: tuple[Any, Any]) -> float:
    """Before the softmax where both sides know that, else of the output."""
    from kerasbn_export.verification.records.measure import measure

    place = 0 if exact[1] is None or found[1] is None else 1
    return measure(exact[place], found[place]).sqnr_db


def _scores(runnable: Any, arrays: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(*runnable.run_with_scores(arrays), strict=True))
