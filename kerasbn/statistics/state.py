"""What a forward pass or a change of statistics may move, put back to what it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from kerasbn.statistics.batches import leaves
from kerasbn.statistics.layers import BatchNorm
from kerasbn.statistics.records import Statistics


@contextmanager
def unmoved(model: Any) -> Iterator[None]:
    """Puts every variable that is not trained back at the end, however the block ends: states, counters, seeds."""
    kept = [(variable, np.array(variable.numpy())) for variable in _variables(model)]
    try:
        yield
    finally:
        for variable, value in kept:
            variable.assign(value)


@contextmanager
def restored_on_failure(norms: Sequence[BatchNorm]) -> Iterator[None]:
    """Puts the averages of the BatchNorms back if the block fails or is interrupted."""
    kept = [(variable, np.array(variable.numpy())) for norm in norms for variable in norm.averages]
    try:
        yield
    except BaseException:
        for variable, value in kept:
            variable.assign(value)
        raise


def write(norm: BatchNorm, statistics: Statistics) -> None:
    """Gives a BatchNorm its statistics; those of renorm, which follow from them, as well."""
    norm.put("moving_mean", statistics.mean)
    norm.put("moving_variance", statistics.variance)
    if norm.layer.renorm:
        deviation = np.sqrt(statistics.variance + norm.layer.epsilon)
        norm.put("moving_stddev", deviation)
        norm.put("renorm_mean", statistics.mean)
        norm.put("renorm_stddev", deviation)


def _variables(model: Any) -> list[Any]:
    found = list(getattr(model, "non_trainable_variables", model.non_trainable_weights))
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False):
            found += leaves(getattr(layer, "states", None) or [])
        found += vars(getattr(layer, "_random_generator", None) or _NOTHING).values()
    return list({id(each): each for each in found if hasattr(each, "assign") and hasattr(each, "numpy")}.values())


class _Nothing:
    """Has no attributes."""


_NOTHING = _Nothing()
