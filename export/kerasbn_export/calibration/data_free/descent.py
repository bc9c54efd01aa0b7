"""The search: Keras' Adam on the samples, from noise of the scale that fits best."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kerasbn.errors import CalibrationError
from kerasbn.flavour import KERAS, Flavour, flavour_of
from kerasbn.lazy import LazyModule
from kerasbn_export.arrays import Array
from kerasbn_export.calibration.data_free.objective import distance, doubt
from kerasbn_export.calibration.data_free.observed import Observed
from kerasbn_export.ends import ModelInput
from kerasbn_export.program.program import as_tensorflow, functional_program

tf: Any = LazyModule("tensorflow")  # importing this module is to import no TensorFlow

STEPS, RATE = 300, 0.1
"""How many steps, and the length of the first in standard deviations of the noise; the length falls as a cosine."""
SCALES = tuple(10.0 ** (power / 2) for power in range(-4, 7))
OFFSETS = (0.0, 1.0, -1.0)
"""The noises that are tried: their standard deviations, and their means in standard deviations."""
FINER, NUDGES = (0.75, 0.87, 1.0, 1.15, 1.33), (-0.5, -0.25, 0.0, 0.25, 0.5)
"""What is tried around the best of them."""
FLOOR = 1e-12
"""What keeps Adam from dividing by zero: slopes are small here."""
REPORTED = 25
"""Steps from one report to the next."""


class _Input:
    """The samples of one input: ``scale*z + offset``, the steps being taken in z."""

    def __init__(self, flavour: Flavour, noise: Array, value_range: tuple[float, float] | None) -> None:
        self.variable = flavour.keras.Variable(noise) if flavour == KERAS else tf.Variable(noise)
        (self.z,) = as_tensorflow([self.variable])
        self.scale, self.offset = tf.Variable(1.0), tf.Variable(0.0)
        self.range = value_range
        if value_range is not None:
            low, high = value_range
            self.place((high - low) / 4, (high + low) / 2)

    def place(self, scale: float, offset: float) -> None:
        self.scale.assign(scale)
        self.offset.assign(offset)

    @property
    def samples(self) -> Any:
        values = self.scale * self.z + self.offset
        return values if self.range is None else tf.clip_by_value(values, *self.range)

    def keep_in_range(self) -> None:
        """Takes back what is beyond the range: it has no slope, and would never come back."""
        if self.range is not None:
            low, high = ((end - self.offset) / self.scale for end in self.range)
            self.z.assign(tf.clip_by_value(self.z, low, high))


def descend(
    observed: Observed,
    inputs: Sequence[ModelInput],
    *,
    samples: int,
    seed: int,
    value_range: tuple[float, float] | None,
    on_step: Callable[[str], None],
) -> list[Array]:
    """Samples for every input whose activations have the remembered statistics.

    Raises:
        CalibrationError: The search ended in numbers that are not finite.
    """
    rng = np.random.default_rng(seed)
    sizes = [[size for size in wanted.shape[1:] if size is not None] for wanted in inputs]
    noises = [rng.standard_normal((samples, *size)).astype(np.float32) for size in sizes]
    flavour = flavour_of(observed.model)
    found = [_Input(flavour, noise, value_range) for noise in noises]
    optimizers = flavour.keras.optimizers
    adam = optimizers.Adam(optimizers.schedules.CosineDecay(RATE, STEPS), epsilon=FLOOR)
    program = functional_program(observed.model)

    def values() -> list[Any]:
        return program.call([one.samples for one in found])

    if value_range is None:
        _start(found, tf.function(lambda: distance(observed, values()), autograph=False))

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def step() -> None:
        with tf.GradientTape() as tape:
            given = values()
            loss = distance(observed, given) + doubt(observed, given)
        slopes = zip(tape.gradient(loss, [one.z for one in found]), found, strict=True)
        # An input that no BatchNorm sees has no slope, and keeps its noise.
        adam.apply_gradients([(slope, one.variable) for slope, one in slopes if slope is not None])
        for one in found:
            one.keep_in_range()

    for number in range(1, STEPS + 1):
        if number % REPORTED == 1:
            on_step(f"match the statistics of the BatchNorms: step {number} of {STEPS}")
        step()
    results = [one.samples.numpy() for one in found]
    if not all(np.isfinite(array).all() for array in results):
        raise CalibrationError(
            "Data-free calibration did not find samples: the search left the finite numbers. Give real samples."
        )
    return results


def _start(found: Sequence[_Input], loss: Callable[[], Any]) -> None:
    """Let each input's noise have the scale and offset that come closest; the other inputs stay meanwhile."""
    for one in found:
        scale, offset = _closest(one, loss, [(scale, offset * scale) for scale in SCALES for offset in OFFSETS])
        nearby = [(scale * factor, offset + scale * nudge) for factor in FINER for nudge in NUDGES]
        one.place(*_closest(one, loss, nearby))


def _closest(one: _Input, loss: Callable[[], Any], places: Sequence[tuple[float, float]]) -> tuple[float, float]:
    tried = []
    for place in places:
        one.place(*place)
        tried.append((float(loss()), place))
    finite = [trial for trial in tried if math.isfinite(trial[0])]
    return min(finite)[1] if finite else (1.0, 0.0)
