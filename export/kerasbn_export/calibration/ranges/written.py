"""Writes ranges into a calibrated float file, where the converter reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasbn_export.calibration.ranges.histogram import Counting
from kerasbn_export.calibration.ranges.methods import METHODS, STEPS
from kerasbn_export.calibration.ranges.places import Place
from kerasbn_export.tflite.flatbuffer import parse, serialize


def with_ranges(
    calibrated: bytes, wanted: Sequence[Place], counted: Sequence[Counting], method: str, precision: str
) -> bytes:
    """The same file with other ranges.

    Args:
        calibrated: The float file.
        wanted: The places that get another range.
        counted: The values of each.
        method: A key of `METHODS`.
        precision: ``"int8"`` or ``"int16x8"``; there a range reaches as far below 0 as above.
    """
    model = parse(calibrated)
    for place, counting in zip(wanted, counted, strict=True):
        low, high = METHODS[method](counting.histogram, STEPS[precision])
        low, high = max(low, counting.smallest), min(high, counting.largest)
        if low < high:
            for index in place.members:
                _write(model.subgraphs[0].tensors[index], -high if precision == "int16x8" else low, high)
    return serialize(model)


def _write(tensor: Any, low: float, high: float) -> None:
    tensor.quantization.min = np.array([low], np.float32)
    tensor.quantization.max = np.array([high], np.float32)
