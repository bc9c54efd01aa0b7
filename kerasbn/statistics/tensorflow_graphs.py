"""What passes over data need of TensorFlow itself: compiled functions, sums that live in them, and other workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasbn.moments import Moments
from kerasbn.statistics.running import Running, merged


class GraphSums:
    """The statistics of one BatchNorm so far, in variables: a loop in the graph may add to them as well."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._running = [tf.Variable(tf.zeros(shape, tf.float64), trainable=False) for _ in range(3)]
        self._batches = [tf.Variable(tf.zeros(shape, tf.float64), trainable=False) for _ in range(3)]

    def clear(self) -> None:
        """Forgets them."""
        for variable in (*self._running, *self._batches):
            variable.assign(tf.zeros_like(variable))

    def add(self, found: Moments, stored_variance: Any) -> None:
        """Adds the statistics of one batch: their merge and the sums over batches."""
        mean, variance, stored = (tf.cast(each, tf.float64) for each in (found.mean, found.variance, stored_variance))
        count = tf.broadcast_to(tf.cast(found.count, tf.float64), mean.shape)
        old = Running(*(each.read_value() for each in self._running))
        for variable, value in zip(
            self._running, merged(old, Running(count, mean, variance * count), tf.maximum), strict=True
        ):
            variable.assign(value)
        there = tf.cast(count > 0, tf.float64)
        for variable, value in zip(self._batches, (there, mean * there, stored * there), strict=True):
            variable.assign_add(value)

    def read(self) -> tuple[Running, Running]:
        """Over all elements; and the sums over the batches of their means and variances."""
        return Running(*(each.numpy() for each in self._running)), Running(*(each.numpy() for each in self._batches))


def compiled(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The function as a graph, traced again only for other shapes."""
    return tf.function(function, reduce_retracing=True, autograph=False)  # type: ignore[no-any-return]


def unconverted(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which AutoGraph leaves as it is."""
    return tf.autograph.experimental.do_not_convert(function)  # type: ignore[no-any-return]


def depends(graph_calls: Sequence[tuple[Any, Any, Any]]) -> list[set[int]]:
    """Of each call (anything, input, output) of one traced graph, the earlier calls that its input is computed from.

    Where a call lies in an inner graph, as in a loop, it depends on all before it.
    """
    owner = {id(output.op): index for index, (_, _, output) in enumerate(graph_calls) if hasattr(output, "op")}
    outer = graph_calls[0][1].graph if graph_calls else None
    found = []
    for index, (_, start, _) in enumerate(graph_calls):
        found.append(_sources(start, owner) if getattr(start, "graph", None) is outer else set(range(index)))
    return found


def _sources(start: Any, owner: dict[int, int]) -> set[int]:
    found, seen, left = set(), set(), [start.op]
    while left:
        op = left.pop()
        if id(op) in seen:
            continue
        seen.add(id(op))
        if id(op) in owner:
            found.add(owner[id(op)])
        left.extend(each.op for each in op.inputs)
    return found


def current_strategy() -> Any:
    """The strategy whose scope is open, if any."""
    return tf.distribute.get_strategy() if tf.distribute.has_strategy() else None


def gathered(strategy: Any, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """One row of values from each worker of a strategy, in every worker.

    Every worker must come here with values of the same shape.
    """
    row = tf.constant(np.asarray(values, np.float64)[np.newaxis])

    @tf.function  # type: ignore[untyped-decorator]
    def gather() -> Any:
        return tf.distribute.get_replica_context().all_gather(row, axis=0)

    rows = np.asarray(strategy.experimental_local_results(strategy.run(gather))[0])
    local = len(strategy.extended.worker_devices)
    return rows[::local]
