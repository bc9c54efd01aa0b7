"""Where two models part: every layer of the reference against the candidate's tensor that carries its name.

For a layer ``L`` whose inputs the candidate computed as ``x``::

    local error      = max|L(x) - candidate| / max|L(x)|          the error made in this layer
    cumulative error = max|reference - candidate| / max|reference|  all errors made up to here

``L(x)`` is computed in float64. A tensor may hold what ``L`` gave or what a BatchNorm or an activation after it
gave, where the converter or a fold merged those into ``L``: it is compared with each and taken for the best.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from kerasbn_export.graph import Call, Value
from kerasbn_export.verify.gates import Gate
from kerasbn_export.verify.judge import judge_distance
from kerasbn_export.verify.measure import Measurement, measure
from kerasbn_export.verify.network import Network
from kerasbn_export.verify.ports import Array
from kerasbn_export.verify.records import LayerComparison, Status

MERGED = frozenset({
    "BatchNormalization", "Normalization", "Rescaling", "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax",
    "Dropout", "SpatialDropout1D", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "Reshape", "Flatten",
})  # fmt: skip
"""Layers that a converter or a fold merges into the one before them, or that change no number."""


@dataclass(frozen=True)
class KeptTensor:
    """A tensor of the candidate with its values, and the layers that its name tells of."""

    name: str
    layers: tuple[str, ...]
    array: Array


@dataclass
class _Fit:
    """A tensor taken for a value of the reference, with the chain of calls from the layer to it."""

    tensor: KeptTensor
    chain: tuple[Call, ...]
    local: Measurement
    passed: bool


@dataclass
class Localiser:
    """One walk through the reference with the candidate's tensors at hand.

    Attributes:
        network: The reference in float64.
        tensors: The candidate's tensors in the order they were computed.
        ends: The candidate's tensor of each output of the reference.
        gate: What a layer has to reach.
    """

    network: Network
    tensors: Sequence[KeptTensor]
    ends: Mapping[Value, KeptTensor]
    gate: Gate
    _mixed: dict[Value, Array] = field(default_factory=dict, init=False)
    _taken: dict[Value, KeptTensor] = field(default_factory=dict, init=False)

    def compare(self, arrays: Sequence[Array]) -> list[tuple[Call, LayerComparison]]:
        """One record per layer that has a tensor, in topological order.

        Args:
            arrays: The samples that the tensors were computed from.
        """
        right = self.network.start(arrays)
        for call in self.network.computing():
            right.update(self.network.evaluate(call, right))
        self._mixed = self.network.start(arrays)
        self._taken = {}
        return [(call, record) for call in self.network.computing() for record in self._visit(call, right)]

    def _visit(self, call: Call, right: Mapping[Value, Array]) -> Iterator[LayerComparison]:
        """Compare one layer, then let what follows start from the candidate's values."""
        predicted = self.network.evaluate(call, self._mixed)
        for value, array in predicted.items():
            self._mixed.setdefault(value, array)
        if call.output in self._taken:
            return
        fit = self._best_fit(call)
        if fit is None:
            return
        end = fit.chain[-1].output
        self._taken[end] = fit.tensor
        self._mixed[end] = shaped(fit.tensor.array, self._mixed.get(end, right[end])).astype(right[end].dtype)
        cumulative = measure(right[end], self._mixed[end])
        yield LayerComparison(
            layer=call.layer.path,
            tensor=fit.tensor.name,
            position=fit.chain[-1].layer.path,
            merged=tuple(step.layer.path for step in fit.chain[1:]),
            local_error=fit.local.relative,
            cumulative_error=cumulative.relative,
            local_sqnr_db=fit.local.sqnr_db,
            passed=fit.passed,
        )

    def _best_fit(self, call: Call) -> _Fit | None:
        """The best of all pairs of a tensor of the layer and a value from the layer on; the furthest that passes."""
        fits = [fit for chain, array in self._chains(call) for fit in self._fits(call, chain, array)]
        passing = [fit for fit in fits if fit.passed]
        if passing:
            return max(passing, key=lambda fit: len(fit.chain))
        return min(fits, key=lambda fit: fit.local.relative, default=None)

    def _fits(self, call: Call, chain: tuple[Call, ...], array: Array) -> Iterator[_Fit]:
        for tensor in self._tensors_of(call, chain[-1].output):
            if tensor.array.size == array.size and _squeezed(tensor.array) == _squeezed(array):
                found = measure(array, shaped(tensor.array, array))
                yield _Fit(tensor, chain, found, judge_distance(found, self.gate).status is Status.EQUAL)

    def _tensors_of(self, call: Call, value: Value) -> Iterator[KeptTensor]:
        if value in self.ends:
            yield self.ends[value]
            return
        taken = {id(tensor) for tensor in self._taken.values()}
        for tensor in self.tensors:
            if call.layer.path in tensor.layers and id(tensor) not in taken:
                yield tensor

    def _chains(self, call: Call) -> Iterator[tuple[tuple[Call, ...], Array]]:
        """The layer alone, then with one after another of the layers that can be merged into it."""
        waiting: list[tuple[tuple[Call, ...], dict[Value, Array]]] = [((call,), dict(self._mixed))]
        while waiting:
            chain, values = waiting.pop()
            yield chain, values[chain[-1].output]
            for user in self.network.graph.users(chain[-1].output):
                if user.layer.kind in MERGED and len(user.inputs) == 1:
                    waiting.append(((*chain, user), {**values, **self.network.evaluate(user, values)}))


def shaped(array: Array, like: Array) -> Array:
    """The same numbers in the shape of another array of as many."""
    return array.reshape(like.shape)


def _squeezed(array: Array) -> tuple[int, ...]:
    return tuple(size for size in array.shape if size != 1)


def worst_layer(records: Sequence[LayerComparison]) -> float:
    """The largest local error of all layers."""
    return max((record.local_error for record in records), default=math.nan)


def as_batch(array: Array, index: int, batch: int) -> Array:
    """One sample as a batch of copies."""
    return np.repeat(array[index : index + 1], batch, axis=0)
