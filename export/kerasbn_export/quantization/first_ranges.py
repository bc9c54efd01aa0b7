"""The ranges that a tuned model begins with: from what the float model gives on some samples.

=================  ====================================================================================================
ranges             begin
=================  ====================================================================================================
that follow        at the smallest and the largest value, and come to those of a batch
that are learned   where rounding and clipping have the least squared error: they move by some percent
                   (`kerasbn_export.calibration.ranges.squared_error`); in 16 bits at the extremes
=================  ====================================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from kerasbn.flavour import flavour_of
from kerasbn.quantized.numbers import BITS
from kerasbn.quantized.ranges import RangeMixin
from kerasbn_export.calibration.ranges.histogram import Counting
from kerasbn_export.calibration.ranges.methods import STEPS
from kerasbn_export.calibration.ranges.squared_error import squared_error_range
from kerasbn_export.calibration.samples import Calibration

CHUNK = 32
"""Samples run at a time."""


def ranges_of(model: Any) -> list[Any]:
    """The ranges of a tuned model, in its order."""
    return [layer for layer in model.layers if isinstance(layer, RangeMixin)]


def measure_ranges(tuned: Any, samples: Calibration) -> None:
    """Gives every range of a model its first ends.

    Args:
        tuned: The model.
        samples: Of its inputs.
    """
    seen = {layer: _Extremes() for layer in ranges_of(tuned) if not layer.fixed}
    _observe(tuned, samples, seen)
    for layer, extremes in seen.items():
        layer.set_range(extremes.low, extremes.high)
    counted = {
        layer: _Counted(extremes.high - extremes.low)
        for layer, extremes in seen.items()
        if layer.learned and layer.bits == BITS["int8"]
    }
    if counted:
        _observe(tuned, samples, counted)
    for layer, values in counted.items():
        layer.set_range(*squared_error_range(values.histogram, STEPS["int8"]))


class _Extremes:
    """The smallest and the largest number seen."""

    low, high = np.inf, -np.inf

    def __call__(self, values: Any) -> None:
        array = np.asarray(values)
        self.low, self.high = min(self.low, float(array.min())), max(self.high, float(array.max()))


class _Counted(Counting):
    """How often which number was seen."""

    def __call__(self, values: Any) -> None:
        self.add(np.asarray(values))


def _observe(tuned: Any, samples: Calibration, seen: dict[Any, Any]) -> None:
    """Runs the float model: ranges let everything pass, and show it."""
    every = ranges_of(tuned)
    for layer in every:
        layer.observing = seen.get(layer, _nothing)
    for arrays in _chunks(samples, tuned, min(CHUNK, len(samples))):
        tuned(arrays if len(arrays) > 1 else arrays[0], training=False)
    for layer in every:
        layer.observing = None


def _nothing(_: Any) -> None:
    """A fixed range has nothing to see."""


def _chunks(samples: Calibration, tuned: Any, size: int) -> Iterable[list[Any]]:
    flavour = flavour_of(tuned)
    for arrays in samples.batches(size):
        yield [flavour.keras.ops.convert_to_tensor(a) if flavour.name == "keras" else np.asarray(a) for a in arrays]
