"""A Keras model that is run again and again: called as it is at first, compiled when that will pay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from kerasbn_export.arrays import Array

AS_IT_IS = 3
"""Calls that take as long as tracing the model does: so many are not compiled."""


class Repeated:
    """What ``model.predict`` computes, without its progress and callbacks.

    Args:
        model: Of either Keras.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._calls = 0
        self._traceable = True

    def __call__(self, arrays: Sequence[Array]) -> Any:
        """The outputs for one batch."""
        self._calls += 1
        if self._calls > AS_IT_IS and self._traceable:
            try:
                return self._compiled(list(arrays))
            except Exception:  # a layer of the user's may do in a call what no graph can; called, it says what is wrong
                self._traceable = False
        return self._plain(list(arrays))

    def _plain(self, arrays: list[Any]) -> Any:
        return self.model(arrays, training=False)

    @cached_property
    def _compiled(self) -> Callable[[list[Array]], Any]:
        import tensorflow as tf

        compiled: Callable[[list[Array]], Any] = tf.function(self._plain, autograph=False)
        return compiled
