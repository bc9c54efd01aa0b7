"""Lets scales pass ReLU6, whose bound stays where it is: by what samples reach of it.

    min(relu(x/s), 6) = min(relu(x), 6)/s      where x <= 6 and x <= 6*s

so a channel that stays below 6 on samples may be divided by any s of at least max(x)/6, and one that reaches 6 only by
1. What is above on other data is cut off elsewhere than before, as it is where a range was measured on samples. Whoever
takes such a form has to measure it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kerasbn_export.algebra.affine import Float64
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.capture import capture
from kerasbn_export.emit.emit import emit
from kerasbn_export.folding.rules.fused import fused_activation
from kerasbn_export.graph.model import Call, Graph, Layer, new_layer

BOUND = 6.0
ROOM = 1.1
"""By how much other data may be larger than the samples."""
SAMPLES, BATCH = 32, 4
"""How many are looked at, and how many at once, for the sake of memory."""


@dataclass
class Bounds:
    """The ReLU6 of a graph, each with the largest value that each of its channels has.

    Attributes:
        layers: The layer of each call, which `lifted` replaces by a ReLU and `restored` puts back.
        peaks: The largest value of each channel, of the scale that it has now.
    """

    layers: dict[Call, Layer] = field(default_factory=dict)
    peaks: dict[Call, Float64] = field(default_factory=dict)

    def lift(self, graph: Graph) -> None:
        """Takes the bounds away, so that scales pass."""
        for call in _bounded(graph):
            if call in self.peaks:
                self.layers[call] = call.layer
                call.layer = new_layer("ReLU", call.layer.name, {"max_value": None, "negative_slope": 0.0})

    def restore(self) -> None:
        """Puts the bounds back."""
        for call, layer in self.layers.items():
            call.layer = layer

    def least(self, call: Call) -> tuple[Float64, Any] | None:
        """The smallest scale that each channel may be divided by, and which may be divided by 1 only."""
        if call not in self.peaks:
            return None
        reached = ROOM * self.peaks[call] / BOUND
        return reached, reached >= 1

    def divide(self, call: Call, scale: Float64) -> None:
        """Remembers that a call's channels were divided."""
        self.peaks[call] = self.peaks[call] / scale


def bounds_of(graph: Graph, model: Any, samples: Calibration | None) -> Bounds:
    """What the ReLU6 of a graph reach on samples; without samples none is known.

    Args:
        graph: The captured model.
        model: The model.
        samples: Of its inputs.
    """
    calls = [call for call in _bounded(graph) if call.output.rank]
    if samples is None or not calls:
        return Bounds()
    observed = capture(model)  # the same calls in the same order
    places = [number for number, call in enumerate(graph.in_order()) if call in set(calls)]
    others = list(observed.in_order())
    values = [others[place].output for place in places]
    observed.outputs, observed.output_names = values, [f"observed_{number}" for number in range(len(values))]
    observed.prune()
    peaks = _peaks(emit(observed, dtype="float32", batch_size=BATCH), samples)
    return Bounds(peaks=dict(zip(calls, peaks, strict=True)))


def _bounded(graph: Graph) -> Iterator[Call]:
    return (call for call in graph.in_order() if fused_activation(call.layer) == "relu6")


def _peaks(model: Any, samples: Calibration) -> list[Float64]:
    """The largest value of each channel of each output."""
    found: list[Float64] = []
    count = max(BATCH, min(SAMPLES, len(samples)) // BATCH * BATCH)
    rows = np.resize(np.arange(min(count, len(samples))), count)
    for start in range(0, count, BATCH):
        arrays = [array[rows[start : start + BATCH]] for array in samples.arrays]
        outputs = model(arrays if len(arrays) > 1 else arrays[0], training=False)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        now = [np.asarray(output, np.float64) for output in outputs]
        now = [array.max(axis=tuple(range(array.ndim - 1))) for array in now]
        found = [np.maximum(a, b) for a, b in zip(found, now, strict=True)] if found else now
    return found
