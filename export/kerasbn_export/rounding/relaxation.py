"""Whether each weight is rounded up or down, learned from what its layer is to give.

    w~ = s * clip(floor(w/s) + h(v), -127, 127)          h(v) = clip(1.2 sigmoid(v) - 0.1, 0, 1)

    E |f(x w~ + b) - y|^2 / E0  +  strength * mean(1 - |2 h(v) - 1|^beta)

with x what the layer takes in the quantized network, y what it gives in the float one, f its activation with the range
of its output, and E0 the error of rounding to the nearest. At first only the error counts. Then beta falls, and with it
every h goes to 0 or 1. Gradients are written out; Adam takes the steps.

References:
    Nagel et al. 2020, Up or Down? Adaptive Rounding for Post-Training Quantization, sections 3.2 and 3.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.rounding.layers import LARGEST
from kerasbn_export.rounding.product import product
from kerasbn_export.rounding.rows import Rows

STEPS = 800
BATCH = 256
RATE = 0.03
"""Of Adam, at first; it falls to a tenth, as a cosine."""
STRENGTH = 1.0
WARM = 0.2
"""The part of the steps in which h may be anything."""
BETA = (20.0, 2.0)
"""At first and in the end."""
STRETCH = (-0.1, 1.1)
"""What the sigmoid is stretched to before it is clipped."""


@dataclass(frozen=True)
class Problem:
    """What a layer is to give, and what can be chosen.

    Attributes:
        rows: What it takes, and what it is to give.
        weights: In steps of the grid, ``(groups, taps, channels)``.
        scale: The steps.
        bias: ``(groups, 1, channels)``.
        low: The smallest number that its output holds.
        high: The largest.
    """

    rows: Rows
    weights: Array
    scale: Array
    bias: Array
    low: float
    high: float

    def error(self, stored: Array) -> float:
        """The mean square of what the layer gives with these weights, less what it is to give."""
        given = product(self.rows.x, (stored * self.scale).astype(np.float32)) + self.bias.astype(np.float32)
        return float(np.mean((np.clip(given, self.low, self.high) - self.rows.y) ** 2, dtype=np.float64))

    def nearest(self) -> Array:
        """The weights rounded to the nearest."""
        return np.clip(np.rint(self.weights), -LARGEST, LARGEST)


def learned_weights(problem: Problem, steps: int | None = None) -> Array:
    """The weights on the grid, each rounded up or down.

    Args:
        problem: What they are for.
        steps: How many of Adam.
    """
    steps = steps or STEPS
    floor = np.floor(problem.weights)
    free = (problem.weights > floor) & (floor >= -LARGEST) & (floor < LARGEST)
    base, v = floor.astype(np.float32), _inverse((problem.weights - floor).astype(np.float32))
    first = problem.error(problem.nearest())
    if first < np.finfo(np.float32).tiny:
        return problem.nearest()
    moments = np.zeros_like(v), np.zeros_like(v)
    for step, part in enumerate(_parts(problem.rows, steps)):
        h, slope = _rectified(v)
        gradient = _error_slope(problem, part, base + h) / np.float32(first)
        gradient = (gradient + _penalty_slope(h, step / steps)) * slope * free
        v -= _adam(gradient, moments, step, steps)
    return np.where(free, floor + (_rectified(v)[0] >= 0.5), problem.nearest())


def _parts(rows: Rows, steps: int) -> Iterator[Rows]:
    """Parts of the rows, over and over; these are in random order as they are."""
    count = rows.x.shape[1]
    size = min(BATCH, count)
    for step in range(steps):
        at = step * size % (count - size + 1)
        yield Rows(rows.x[:, at : at + size], rows.y[:, at : at + size])


def _error_slope(problem: Problem, part: Rows, stored: Array) -> Array:
    """The slope of the error by each weight.

    What the range cuts on both sides has no error; what it cuts on one of them is pulled back into it.
    """
    scale = problem.scale.astype(np.float32)
    given = product(part.x, stored * scale) + problem.bias.astype(np.float32)
    error = np.clip(given, problem.low, problem.high) - part.y
    slope: Array = product(part.x, error, transposed=True) * scale * np.float32(2 / error.size)
    return slope


def _penalty_slope(h: Array, done: float) -> Array:
    """The slope of the regularizer; none at first."""
    if done < WARM:
        return np.zeros_like(h)
    begin, end = BETA
    beta = np.float32(end + (begin - end) * (1 + np.cos(np.pi * (done - WARM) / (1 - WARM))) / 2)
    away = 2 * h - 1
    slope: Array = -2 * beta * np.abs(away) ** (beta - 1) * np.sign(away) * np.float32(STRENGTH / h.size)
    return slope


def _rectified(v: Array) -> tuple[Array, Array]:
    """``h(v)`` and its slope."""
    low, high = STRETCH
    sigmoid = 1 / (1 + np.exp(-v))
    stretched = sigmoid * (high - low) + low
    inside = (stretched > 0) & (stretched < 1)
    return np.clip(stretched, 0, 1), np.where(inside, sigmoid * (1 - sigmoid) * (high - low), 0).astype(np.float32)


def _inverse(h: Array) -> Array:
    """The v of an h from 0 to 1."""
    low, high = STRETCH
    sigmoid = (h - low) / (high - low)
    found: Array = np.log(sigmoid / (1 - sigmoid))
    return found


def _adam(gradient: Array, moments: tuple[Array, Array], step: int, steps: int) -> Array:
    """How far to go back, and the moments in place."""
    first, second = moments
    first += 0.1 * (gradient - first)
    second += 0.001 * (gradient**2 - second)
    rate = RATE * (0.55 + 0.45 * np.cos(np.pi * step / steps))
    mean, square = first / (1 - 0.9 ** (step + 1)), second / (1 - 0.999 ** (step + 1))
    return (rate * mean / (np.sqrt(square) + 1e-12)).astype(np.float32)  # type: ignore[no-any-return]
