"""Functions that nobody knows, judged by evaluating them.

A function is elementwise if what it gives at one place depends on what it takes there and on nothing else. Its slope
then says how far an error ``b`` of what it takes goes, kinks and all, and rounding inside it adds to that::

    |error of f(y)| <= max(|f(y + b) - f(y)|, |f(y - b) - f(y)|) + 8*u*(|y| + |f(y)|)        u = 2^-24

Where ``f(y)`` is ``y`` nothing was computed and nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kerasbn_export.arrays import Array

Function = Callable[[Array], Array]

UNIT_ROUNDOFF = 2.0**-24
MARGIN = 8.0

TRIES = 2
"""By chance one half of the places may be where a function that moves values puts them."""


def is_elementwise(function: Function, at: Array) -> bool:
    """Whether a change at some places changes what the function gives there alone.

    Args:
        function: Gives an array for one.
        at: Where to try.
    """
    before = function(at)
    if before.shape != at.shape:
        return False
    rng = np.random.default_rng(0)
    return all(_stays(function, at, before, rng.random(at.shape) < 0.5) for _ in range(TRIES))


def _stays(function: Function, at: Array, before: Array, moved: Array) -> bool:
    after = function(np.where(moved, at + 0.5 * (1.0 + np.abs(at)), at))
    return bool(np.array_equal(before[~moved], after[~moved], equal_nan=True))


def passed_on(function: Function, at: Array, bound: Array) -> Array:
    """How far an elementwise function may be off where what it takes is off by a bound at most.

    Args:
        function: The function.
        at: What it takes in exact arithmetic.
        bound: How far that may be off, at each element.
    """
    value = function(at)
    steps = [np.abs(function(at + sign * bound) - value) for sign in (1.0, -1.0)]
    inside = np.where(value == at, 0.0, MARGIN * UNIT_ROUNDOFF * (np.abs(at) + np.abs(value)))
    total: Array = np.nan_to_num(np.maximum(*steps), nan=np.inf) + inside
    return total
