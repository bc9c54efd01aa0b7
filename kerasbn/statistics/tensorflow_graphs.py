"""What passes over data need of TensorFlow itself: compiled functions, sums that live in them, and other workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from kerasbn.moments import Moments
from kerasbn.statistics.running import Running, merged


class InnerSums:
    """The statistics of BatchNorms in inner graphs, as in a loop, in variables: no tensor comes out of them."""

    def __init__(self) -> None:
        self._outer: Any = None
        self._variables: dict[Any, list[Any]] = {}

    def begin(self) -> None:
        """The graph that is made now is the outer one."""
        self._outer = tf.compat.v1.get_default_graph() if not tf.executing_eagerly() else None

    def is_here(self) -> bool:
        """Whether what is made now lies in an inner graph."""
        return self._outer is not None and tf.compat.v1.get_default_graph() is not self._outer

    def has(self, norm: Any) -> bool:
        """Whether a BatchNorm is called in a loop; its call outside is one that Keras makes for the shape alone."""
        return norm in self._variables

    def add(self, norm: Any, found: Moments) -> None:
        """Adds the statistics of one batch."""
        shape = norm.layout.weight_shape
        if norm not in self._variables:
            with tf.init_scope():
                self._variables[norm] = [tf.Variable(tf.zeros(shape, tf.float64), trainable=False) for _ in range(3)]
        count, mean, variance = _in_float64(found)
        old = Running(*(each.read_value() for each in self._variables[norm]))
        new = merged(old, Running(count, mean, variance * count), tf.maximum)
        for variable, value in zip(self._variables[norm], new, strict=True):
            variable.assign(value)

    def taken(self) -> Iterator[tuple[Any, Moments]]:
        """What was added since the last time, as if of one batch."""
        for norm, variables in self._variables.items():
            found = Running(*(each.numpy() for each in variables))
            for each in variables:
                each.assign(tf.zeros_like(each))
            yield norm, Moments(found.mean, found.variance(unbiased=False), found.count)


def joined(found: Sequence[Moments]) -> Any:
    """Counts, means and variances of all of them, one row each."""
    if not found:
        return tf.zeros((3, 0), tf.float64)
    rows = zip(*(_in_float64(each) for each in found), strict=True)
    return tf.stack([tf.concat([tf.reshape(each, [-1]) for each in row], 0) for row in rows])


def _in_float64(found: Moments) -> tuple[Any, Any, Any]:
    mean, variance = tf.cast(found.mean, tf.float64), tf.cast(found.variance, tf.float64)
    return tf.broadcast_to(tf.cast(found.count, tf.float64), mean.shape), mean, variance


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
