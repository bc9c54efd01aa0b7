"""The workers of a `tf.distribute` strategy, each of which has its own part of the data.

Several replicas of one process are one worker: that process sees all of its data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, TypeVar

import numpy as np

from kerasbn.errors import InvalidArgumentError, KerasBNError
from kerasbn.statistics.running import Array, Running, merged

Returned = TypeVar("Returned")


class Workers:
    """One worker or several.

    Args:
        strategy: Theirs; None is one worker.
    """

    def __init__(self, strategy: Any) -> None:
        self.strategy = strategy

    @classmethod
    def of(cls, distributed: Any, flavour: Any) -> Workers:
        """Those of a strategy; of None, of the one whose scope is open.

        Raises:
            InvalidArgumentError: It is no strategy.
        """
        if flavour.name == "keras" and flavour.keras.backend.backend() != "tensorflow":
            return cls(None)
        if distributed is None:
            distributed = import_module("kerasbn.statistics.tensorflow_graphs").current_strategy()
        if distributed is not None and not hasattr(distributed, "num_replicas_in_sync"):
            raise InvalidArgumentError(
                f"distributed={type(distributed).__name__}; accepted: a tf.distribute.Strategy or None."
            )
        several = distributed is not None and distributed.num_replicas_in_sync > len(
            distributed.extended.worker_devices
        )
        return cls(distributed if several else None)

    @property
    def several(self) -> bool:
        """Whether there is more than this one."""
        return self.strategy is not None

    def rows(self, values: Array) -> Array:
        """One row of values from each worker."""
        if self.strategy is None:
            return np.asarray(values, np.float64)[np.newaxis]
        gathered = import_module("kerasbn.statistics.tensorflow_graphs").gathered
        return gathered(self.strategy, values)  # type: ignore[no-any-return]

    def together(self, work: Callable[[], Returned]) -> Returned:
        """Does the work of this worker; fails in all workers where it fails in one, so that none waits for it."""
        if not self.several:
            return work()
        try:
            done = work()
        except BaseException:
            self.rows(np.zeros(1))
            raise
        if not self.rows(np.ones(1)).all():
            raise KerasBNError("Another worker failed; the model is as it was. Its own message says why.")
        return done


def merged_rows(rows: Sequence[Array]) -> Array:
    """The statistics of all workers from the flat (count, mean, M2) of each."""
    total = Running.empty((rows[0].size // 3,))
    for row in rows:
        total = merged(total, Running(*np.split(row, 3)))
    return np.concatenate([total.count, total.mean, total.m2])
