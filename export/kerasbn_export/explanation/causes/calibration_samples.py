"""The ranges were measured on too few samples, or on samples that are not like the real ones."""

from __future__ import annotations

import math

import numpy as np

from kerasbn_export.calibration.samples import DATA_FREE, RANDOM
from kerasbn_export.explanation.evidence import Evidence
from kerasbn_export.explanation.records import Finding
from kerasbn_export.precision import CALIBRATED

NAME = "calibration-samples"
FEW = 32
LEAST_USED = 0.25
"""The part of its range that the middle one of the tensors reaches at least."""
RANDOM_COSTS, DATA_FREE_COSTS = 12.0, 2.0
"""In dB, about."""


def calibration_samples(evidence: Evidence) -> Finding | None:
    """What the file's record or its ranges tell of the samples; None if they are fit."""
    if evidence.precision not in CALIBRATED:
        return None
    found = _recorded(evidence) or _too_wide(evidence)
    if found is None:
        return None
    what, number, estimate = found
    follows = () if evidence.calibration == RANDOM else ("input-range",)
    return Finding(NAME, what, "", number, evidence.commands.export(), estimate=estimate, options={}, follows=follows)


def _recorded(evidence: Evidence) -> tuple[str, str, float] | None:
    count = (evidence.record or {}).get("calibration_samples")
    if evidence.calibration == RANDOM:
        return "the ranges were measured on random numbers.", f"{count} random samples", RANDOM_COSTS
    if evidence.calibration.startswith(DATA_FREE):
        return "the ranges were measured on samples that were made up.", f"{count} made samples", DATA_FREE_COSTS
    if isinstance(count, int) and count < FEW:
        what = "the ranges were measured on too few samples: take 100 to 500 that cover every class."
        return what, f"{count} sample{'s' * (count != 1)}", 20 * math.log10(FEW / max(count, 1)) / 2
    return None


def _too_wide(evidence: Evidence) -> tuple[str, str, float] | None:
    used = [spread.used for spread in evidence.spreads.values() if spread.high > spread.low]
    middle = float(np.median(used)) if used else 1.0
    if middle >= LEAST_USED:
        return None
    what = "the ranges are wider than the samples need: they were measured on other samples."
    return what, f"the middle tensor uses {middle:.0%} of its range", -20 * math.log10(middle)
