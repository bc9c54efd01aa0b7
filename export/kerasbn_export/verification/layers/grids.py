"""How far rounding to the grids of a quantised file can take one operation.

For an operation whose inputs lie on their own grids, with the step ``d`` of the output's grid and, for a kernel and a
bias on grids of their own, their steps ``d_W`` and ``d_b``::

    linear      |error| <= 2*d + d_b + 6*sqrt(x^2 conv d_W^2 / 12)
    maximum     |error| <= d/100              for it copies integers; d/2 more with a bound, as 6, that is on no grid
    any other   |error| <= 2*d                and over n elements  |mean error| <= (0.6 + 0.5/sqrt(n))*d
    + constant  |error| <= 2*d + d_c          for a sum with a constant that is rounded to a grid of step d_c

Rounding a number to a grid is off by at most half a step, evenly spread, with variance ``d^2/12`` (Bennett 1948,
Spectra of quantized signals); 2 steps are what LiteRT's kernels were measured to differ by. An operation that is off by
one step everywhere, as with a wrong zero point, fails by its mean.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.graph.model import Call, Value
from kerasbn_export.tflite.graph import LINEAR_OPS, Operation, TFLiteGraph
from kerasbn_export.tflite.quantization import Quantization
from kerasbn_export.verification.layers.weights import held_by
from kerasbn_export.verification.network.bound import Bound
from kerasbn_export.verification.network.network import Network
from kerasbn_export.verification.records.clipping import STEPS, ClippingWatch

MEASURED = frozenset({
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "LEAKY_RELU", "LOGISTIC", "MAX_POOL_2D", "MEAN", "MUL", "PAD", "PADV2",
    "RELU", "RELU6", "SOFTMAX", "STRIDED_SLICE", "SUB", "TANH", "TRANSPOSE",
})  # fmt: skip
"""Operations that are computed to the step."""

COPYING = ("MAX_POOL_2D",)
"""Operations that choose among integers: what they take and what they give lies on one grid."""
SUMS = ("ADD", "SUB")
"""Operations in which the rounding of a constant is as large in what they give."""
COPIED, ROUNDED = 0.01, 0.5
"""Steps: room for float64, and for the bound of an activation, which is rounded to the grid."""
BOUNDED = ("RELU6", "RELU_N1_TO_1")
"""Activations with a bound other than 0, which every grid has."""

DEVIATIONS = 6.0


@dataclass(frozen=True)
class Place:
    """Where operations stand in the reference.

    Attributes:
        call: The layer that they compute.
        values: What that layer takes.
        sources: The tensors that hold it.
        noises: What `Grids.ratio` found of their kernels, by the tensor an operation gives: several are tried.
    """

    call: Call
    values: dict[Value, Array]
    sources: Collection[int]
    noises: dict[int, Array | None] = field(default_factory=dict, init=False)


@dataclass(frozen=True)
class Grids:
    """The grids of a file, and the reference that says what would lie on them.

    Attributes:
        graph: The file.
        network: The reference in float64.
    """

    graph: TFLiteGraph
    network: Network

    def operation(self, index: int, sources: Collection[int]) -> Operation | None:
        """The one operation that gives a tensor from others; None if there are more in between.

        Args:
            index: The tensor.
            sources: The tensors that the operation may take; the file's inputs may be taken too.
        """
        operation = self.graph.producers.get(self.graph.beyond(index)[0])
        return operation if operation and self.graph.takes(operation, sources) else None

    def ratio(self, index: int, found: Array, right: Array, place: Place, bound: Bound | None) -> float | None:
        """The error of an operation as a part of what rounding explains; None where that is not known.

        Args:
            index: The tensor it gives.
            found: The values of that tensor.
            right: The values that float64 gives for the operation's own inputs.
            place: Where it stands.
            bound: What rounding in float32 explains.
        """
        operation = self.operation(index, place.sources)
        if operation is None:
            return None
        step = self.graph.beyond(index)[1]
        error = found - self._inside(index, right)
        if operation.name in LINEAR_OPS:
            noise = self._noise(operation, place)
            if noise is None:
                return None
            rest = 1e-6 * float(np.max(np.abs(right))) if bound is None else bound.array
            return _part(error, STEPS * step + noise.reshape(right.shape) + rest)
        return self._spread(operation, error, step)

    def copies(self, indices: Sequence[int], sources: Collection[int]) -> set[int]:
        """Those of a layer's tensors that are no more than what it takes, or than another of them.

        In another shape, where the last one counts; or on a finer grid, which holds the same numbers.
        """
        known = {alias for source in sources for alias in self.graph.aliases(source)}
        taken = {i for i in indices if self.graph.beyond(i, known)[0] in known}
        return taken | self.graph.reshaped(indices) | {i for i in indices if self._is_finer(i, indices)}

    def _is_finer(self, index: int, others: Sequence[int]) -> bool:
        """Whether a tensor holds what another has rounded more coarsely before."""
        producer = self.graph.producers.get(index)
        source = producer.inputs[0] if producer is not None and producer.name == "QUANTIZE" else index
        return source != index and source in others and 0.0 < self.graph.step(index) <= self.graph.step(source)

    def watch_clipping(self, index: int) -> ClippingWatch | None:
        """What adds up the values that a tensor's grid cannot hold; None if it lies on none."""
        grid, operation = self._grid(index), self.graph.producers.get(self.graph.beyond(index)[0])
        return ClippingWatch(grid, operation.activation if operation else "NONE") if grid else None

    def _inside(self, index: int, right: Array) -> Array:
        """What the tensor's grid can hold of it."""
        grid = self._grid(index)
        return np.clip(right, *grid.range) if grid else right

    def _grid(self, index: int) -> Quantization | None:
        behind = [i for i in self.graph.aliases(index) if self.graph.tensors[i].quantization]
        return self.graph.tensors[behind[0]].quantization if behind else None

    def _noise(self, operation: Operation, place: Place) -> Array | None:
        known, key = place.noises, operation.outputs[0]
        if key not in known:
            known[key] = self._noise_of_kernel(operation, place)
        return known[key]

    def _noise_of_kernel(self, operation: Operation, place: Place) -> Array | None:
        held = held_by(self.graph, operation)
        if held is None or self._hybrid(operation) or held.kernel.values.size != _size(place.call):
            return None
        noise = self.network.noise(place.call, place.values, held.kernel.step)
        if noise is None:
            return None
        bias = np.max(held.bias.step) if held.bias else 0.0
        total: Array = bias + DEVIATIONS / math.sqrt(12) * noise
        return total

    def _hybrid(self, operation: Operation) -> bool:
        """Whether it rounds its input on the fly: a kernel of integers, everything else in float."""
        return any(self.graph.step(i) > 0 for i in operation.inputs[1:]) and not self.graph.step(operation.outputs[0])

    def _spread(self, operation: Operation, error: Array, step: float) -> float | None:
        dtypes = {self.graph.tensors[i].dtype for i in operation.outputs}
        constant = sum(self.graph.step(i) for i in operation.inputs if self.graph.tensors[i].constant)
        if not step or not dtypes <= {"int8", "uint8"} or operation.name not in MEASURED:
            return None
        if constant:
            return _part(error, np.full(1, STEPS * step + constant)) if operation.name in SUMS else None
        if operation.name in COPYING:
            return _part(error, np.full(1, (COPIED + ROUNDED * (operation.activation in BOUNDED)) * step))
        mean = abs(float(error.mean())) / ((0.6 + 0.5 / math.sqrt(error.size)) * step)
        return max(mean, _part(error, np.full(1, STEPS * step)))


def _part(error: Array, allowed: Array) -> float:
    allowed = np.maximum(allowed, np.finfo(np.float32).tiny)
    return float(np.nan_to_num(np.abs(error) / allowed, nan=math.inf).max())


def _size(call: Call) -> int:
    return max((array.size for array in call.layer.weights.values()), default=0)
