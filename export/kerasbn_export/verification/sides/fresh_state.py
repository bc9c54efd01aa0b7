"""Every run of a Keras model from a fresh state: a ``stateful`` recurrent layer goes on where its last call ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from kerasbn.flavour import layers_inside
from kerasbn_export.graph.structure import leaves


@contextmanager
def fresh_state(model: Any) -> Iterator[None]:
    """Zeros for the states of a model's layers while it is run; afterwards they are what they were.

    Args:
        model: A model of either Keras.
    """
    states = _states(model)
    before = [np.array(state) for state in states]
    for state, value in zip(states, before, strict=True):
        state.assign(np.zeros_like(value))
    try:
        yield
    finally:
        for state, value in zip(states, before, strict=True):
            state.assign(value)


def _states(model: Any) -> list[Any]:
    """The variables in which the layers of a model keep their states, each once."""
    layers = [layer for layer in [model, *layers_inside(model)] if getattr(layer, "stateful", False) is True]
    held = [state for layer in layers for state in leaves(getattr(layer, "states", None))]
    return list({id(state): state for state in held if hasattr(state, "assign")}.values())
