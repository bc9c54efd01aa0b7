"""The range of an input is not that of the samples, as 0 to 255 against 0 to 1."""

from __future__ import annotations

import math

from kerasbn_export.arrays import Array
from kerasbn_export.explanation.evidence import Evidence
from kerasbn_export.explanation.records import Finding
from kerasbn_export.tflite.quantization import Quantization
from kerasbn_export.verification.records.clipping import ClippingWatch

NAME = "input-range"
LOUD = 20.0
"""What is cut off may have this much less power than the samples, in dB."""
RIGHT = 45.0
"""What a range that fits gives, about."""
LEAST_USED = 0.25
"""The part of the range that samples reach at least."""


def input_range(evidence: Evidence) -> Finding | None:
    """The input whose range loses most of the samples; None if all ranges fit."""
    grids = {index: evidence.graph.calibrated(index) for index in evidence.inputs}
    lost = {index: _lost(grid, evidence.inputs[index]) for index, grid in grids.items() if grid}
    index = max(lost, key=lost.__getitem__, default=None)
    if index is None or not lost[index]:
        return None
    grid, samples = grids[index], evidence.inputs[index]
    held = "" if grid is None else "{:.3g} to {:.3g}".format(*grid.range)
    return Finding(
        NAME,
        "the input's range is not that of the samples. Either prepare them as for the calibration, or calibrate anew.",
        f"input {_name(evidence, index)!r}",
        f"its range is {held}, and the samples lie from {samples.min():.3g} to {samples.max():.3g}",
        evidence.commands.export(),
        estimate=lost[index],
        options={},
        follows=("calibration-samples",) if evidence.calibration == "random" else (),
    )


def _lost(grid: Quantization, samples: Array) -> float:
    """About how many dB the range costs; 0 if it fits."""
    watch = ClippingWatch(grid, "NONE")
    watch.update(samples, grid.restore(grid.store(samples)))
    clipped = watch.result(LOUD)
    if clipped is not None:
        return RIGHT - max(clipped.sqnr_db, 0.0)
    low, high = grid.range
    used = float(samples.max() - samples.min()) / (high - low)
    return -20 * math.log10(used) if 0 < used < LEAST_USED else 0.0


def _name(evidence: Evidence, index: int) -> str:
    return dict(zip(evidence.graph.inputs, evidence.file.input_names, strict=True))[index]
