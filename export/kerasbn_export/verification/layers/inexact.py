"""How far rounding can take a layer for which there is no bound; asked only where it is outside the gate.

A mean or a sum of K numbers is added up one by one in some kernels, and the errors of that have a common sign; any
other layer may err by some times what the reference itself errs by where it computes it in float32::

    mean, sum    |error| <= u*K*mean|x|                                  u = 2^-24
    any other    max|error| <= 4*max|float32 - float64|                  from the same inputs
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.graph.model import Call, Value
from kerasbn_export.verification.network.elementwise import UNIT_ROUNDOFF
from kerasbn_export.verification.network.network import Network

NOISE = 4.0
"""How many times the reference's own error in float32 that of a right candidate may be."""


class Inexact:
    """What rounding explains by measuring it.

    Args:
        network: The reference in float64.
    """

    def __init__(self, network: Network) -> None:
        self._network = network

    @cached_property
    def _in_float32(self) -> Network:
        return Network(self._network.graph, "float32")

    def allowed(self, chain: Sequence[Call], values: Mapping[Value, Array]) -> Array:
        """How far rounding can take the end of a chain of calls, at each element or everywhere.

        Args:
            chain: The calls, each behind the one before.
            values: What they take and give in float64.
        """
        allowed = np.asarray(NOISE * self._own_error(chain, values))
        if len(chain) == 1 and (added := self._of_sum(chain[0], values)) is not None:
            allowed = np.maximum(allowed, added)
        return allowed

    def _own_error(self, chain: Sequence[Call], values: Mapping[Value, Array]) -> float:
        inputs = {value: values[value] for call in chain for value in call.inputs if value in values}
        own = {value: _single(array) for value, array in inputs.items()}
        for call in chain:
            own.update(self._in_float32.evaluate(call, own))
        end = chain[-1].output
        return float(np.max(np.abs(own[end].astype(np.float64) - values[end]), initial=0.0))

    def _of_sum(self, call: Call, values: Mapping[Value, Array]) -> Array | None:
        """``u*K*f(|x|)`` of a layer that adds up; None of one that does not."""
        if len(call.inputs) != 1 or not np.size(values[call.output]):
            return None
        source, given = call.inputs[0], values[call.output]
        terms = values[source].size / given.size
        function = self._network.function(call)
        magnitudes = function(np.abs(values[source]))
        adds = np.array_equal(function(-values[source]), -given) and bool(np.all(magnitudes >= np.abs(given)))
        bound: Array = UNIT_ROUNDOFF * terms * magnitudes
        return bound if adds and terms > 1 else None


def _single(array: Array) -> Array:
    return array.astype(np.float32) if "float" in array.dtype.name else array
