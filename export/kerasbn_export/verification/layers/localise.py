"""Where two models part: every layer of the reference against the candidate's tensor that carries its name.

For a layer ``L`` whose inputs the candidate computed as ``x``::

    local error      = max|L(x) - candidate| / max|L(x)|          the error made in this layer
    cumulative error = max|reference - candidate| / max|reference|  all errors made up to here

``L(x)`` is computed in float64. A tensor may hold what ``L`` gave or what a BatchNorm or an activation after it
gave, where the converter or a fold merged those into ``L``: it is compared with each and taken for the best.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from kerasbn_export.algebra.linear import LINEAR
from kerasbn_export.arrays import Array
from kerasbn_export.graph.batchnorm import is_batchnorm
from kerasbn_export.graph.model import Call, Value
from kerasbn_export.tflite.graph import TFLiteGraph
from kerasbn_export.verification.layers.fit import Fit, KeptTensor, Step, as_numbers, shaped, squeezed
from kerasbn_export.verification.layers.grids import Grids, Place
from kerasbn_export.verification.layers.inexact import Inexact
from kerasbn_export.verification.layers.offset import adds_constant, lacks_bias, offset
from kerasbn_export.verification.layers.steps import MERGED, steps
from kerasbn_export.verification.layers.written_out import WrittenOut, written_out
from kerasbn_export.verification.network.network import Network
from kerasbn_export.verification.outputs.judge import judge_distance
from kerasbn_export.verification.records.clipping import Clipping
from kerasbn_export.verification.records.gates import Gate
from kerasbn_export.verification.records.layers import LayerComparison
from kerasbn_export.verification.records.measure import measure
from kerasbn_export.verification.records.outputs import Status
from kerasbn_export.verification.records.pieces import pieces

COPYING = ("DEQUANTIZE", "QUANTIZE", "RESHAPE")
"""Operations that say the same once more."""


@dataclass
class Localiser:
    """One walk through the reference with the candidate's tensors at hand.

    Attributes:
        network: The reference in float64.
        tensors: The candidate's tensors in the order they were computed.
        ends: The candidate's tensor of each output of the reference.
        gate: What a layer has to reach.
        exact: Whether the candidate computes in float32, so that rounding has a bound.
        file: The candidate, if it is a file.
        grids: The grids of a candidate with quantised weights or activations.
        differs: Whether an output differs. If none does, a tensor that fits nothing was moved on purpose and holds what
            it is nearest to; if one does, what its name says.
        taken: After `compare`, the tensor that was found to hold a value.
        lacking: After `compare`, what layers add to a value and its tensor lacks.
        lost: After `compare`, those of these values behind which a layer is wrong for just that.
        unknown: After `compare`, what tensors were to hold that do not, by more than the gate; what rounding explains
            of them is not known.
        refused: Values, each with the name of a tensor that is not to be taken for it.
    """

    network: Network
    tensors: Sequence[KeptTensor]
    ends: Mapping[Value, KeptTensor]
    gate: Gate
    exact: bool
    file: TFLiteGraph | None = None
    grids: Grids | None = None
    differs: bool = False
    taken: dict[Value, KeptTensor] = field(default_factory=dict, init=False)
    lacking: dict[Value, Array] = field(default_factory=dict, init=False)
    lost: set[Value] = field(default_factory=set, init=False)
    unknown: dict[Value, Array] = field(default_factory=dict, init=False)
    refused: set[tuple[Value, str]] = field(default_factory=set, init=False)
    _mixed: dict[Value, Array] = field(default_factory=dict, init=False)

    def compare(self, arrays: Sequence[Array], seen: Sequence[Array]) -> list[tuple[Call, LayerComparison]]:
        """One record per layer that has a tensor, in topological order.

        Args:
            arrays: The samples that the tensors were computed from.
            seen: The same as the candidate sees them, rounded to the grid of its inputs.
        """
        right, self._mixed, self.taken = self.network.start(arrays), self.network.start(seen), {}
        self.lacking, self.lost, self.unknown = {}, set(), {}
        found = []
        for call in self.network.computing():
            found += [(call, record) for record in self._visit(call, right)]
            self.network.release(call, right, self._mixed)
        return found

    def _visit(self, call: Call, right: dict[Value, Array]) -> Iterator[LayerComparison]:
        """Compare one layer, then let what follows start from the candidate's values."""
        if call.output in self.taken:
            return
        right.update(self.network.evaluate(call, right))
        self._mixed.update(self.network.evaluate(call, self._mixed))
        fit = self._best_fit(call, right)
        if fit is None:
            return
        if not fit.passed:
            self.lost.update(v for v in call.inputs if v in self.lacking and self._was_lost(v, fit))
        for step in fit.chain[1:]:
            right.update(self.network.evaluate(step, right))
        end = fit.chain[-1].output
        self.taken[end] = fit.tensor
        if fit.right is not None and not fit.passed and fit.rounding is None:
            self.unknown[end] = fit.right
        if fit.offset is not None:
            self.lacking[end] = fit.offset
        self._mixed[end] = self.held(end, right[end])
        cumulative = measure(right[end], self._mixed[end])
        yield LayerComparison(
            layer=call.layer.path,
            tensor=fit.tensor.name,
            position=fit.chain[-1].layer.path,
            merged=tuple(step.layer.path for step in fit.chain[1:]),
            local_error=fit.local.relative,
            cumulative_error=cumulative.relative,
            local_sqnr_db=fit.local.sqnr_db,
            cumulative_sqnr_db=cumulative.sqnr_db,
            rounding=fit.rounding,
            passed=fit.passed,
            clipping=fit.clipping,
        )

    def held(self, value: Value, like: Array) -> Array:
        """What the candidate has for a value of which a tensor was found, in the shape and dtype of an array."""
        array: Array = shaped(self.taken[value].load(), like).astype(like.dtype)
        return array + self.lacking[value] if value in self.lacking else array

    def _was_lost(self, value: Value, fit: Fit) -> bool:
        """Whether what the tensor of a value lacks is why a layer behind it is wrong.

        A layer without weights was given it as a constant beside it; any other has to be right without it.
        """
        if not fit.chain[0].layer.weights:
            return True
        values = {**self._mixed, value: self._mixed[value] - self.lacking[value]}
        for call in fit.chain:
            values.update(self.network.evaluate(call, values))
        without = values[fit.chain[-1].output]
        found = measure(without, shaped(fit.tensor.load(), without))
        return found.sqnr_db > fit.local.sqnr_db and judge_distance(found, self.gate).status is Status.EQUAL

    def _best_fit(self, call: Call, right: dict[Value, Array]) -> Fit | None:
        """The best of all pairs of a tensor of the layer and a value from the layer on; the furthest that passes.

        Where none does, layers of any class may have been merged into it; as where rounding alone explains those that
        do, and one of these is within the gate. Where none does then, one whose tensor holds what the reference has
        there: what is before it differs on purpose.
        """
        tensors = self._tensors_of(call)
        known: list[Fit] = []
        explained: list[Fit] = []
        place = Place(call, self._mixed, self._sources_of(call))
        told = {path for tensor in tensors for path in tensor.layers}
        for kinds in (MERGED, None) if tensors else (MERGED,):
            clones, bounded = len(tensors) > 1, self.exact or self.grids is not None
            chains = steps(self.network, self._mixed, call, kinds, clones=clones, bounded=bounded, told=told)
            fits = [fit for step in chains for fit in self._fits(step, tensors, place)]
            fits = self._of_own_operation(call, fits) or fits
            furthest = frozenset(step.layer.path for fit in fits for step in fit.chain)
            passing = explained or [fit for fit in fits if fit.passed]
            if close := [fit for fit in fits if fit.passed and self._is_close(fit)]:
                return max(close if explained else passing, key=lambda fit: self._trust(fit, furthest))
            explained, known = passing, known or fits
        if explained:
            return max(explained, key=lambda fit: self._trust(fit, furthest))
        fits = known + [fit for fit in fits if fit.chain not in {its.chain for its in known} and fit.named]
        agreeing = [(fit, found) for fit in fits if (found := self._agreement(fit, right)) is not None]
        if agreeing:
            return max(agreeing, key=lambda pair: (len(pair[0].chain) if self.exact else 0, pair[1]))[0]
        if not self.differs:
            return min(fits, key=lambda fit: fit.local.relative, default=None)
        return min(fits, key=lambda fit: (self._contradictions(fit, furthest), fit.local.relative), default=None)

    def _is_close(self, fit: Fit) -> bool:
        """Whether a tensor is within the gate, whatever rounding explains."""
        return judge_distance(fit.local, self.gate).status is Status.EQUAL

    def _agreement(self, fit: Fit, right: dict[Value, Array]) -> float | None:
        """The SQNR of a tensor to what the reference computes from the model's inputs; None if not within the gate."""
        values = dict(right)
        for call in fit.chain[1:]:
            values.update(self.network.evaluate(call, values))
        array = values[fit.chain[-1].output]
        held = shaped(fit.tensor.load(), array) + (0.0 if fit.offset is None else fit.offset)
        found = measure(array, held)
        return found.sqnr_db if judge_distance(found, self.gate).status is Status.EQUAL else None

    def _contradictions(self, fit: Fit, furthest: frozenset[str]) -> int:
        """How many of the layers that the tensor might hold speak against a fit by where their names stand.

        A layer merged by the fit that has a tensor of its own, and one that the tensor tells of but the fit leaves out.

        Args:
            fit: One that fails: its error does not say what the tensor holds.
            furthest: The layers of all fits.
        """
        chain = frozenset(step.layer.path for step in fit.chain)
        others = {path for t in self.tensors if t is not fit.tensor for path in t.layers}
        here = frozenset(fit.tensor.layers)
        return len((chain - here) & others) + len((furthest - chain) & here)

    def _of_own_operation(self, call: Call, fits: Sequence[Fit]) -> list[Fit]:
        """The fits of the last tensor that has this layer's name alone, where rounding is known: nothing is guessed."""
        order = [id(tensor) for tensor in self.tensors]
        own = [fit for fit in fits if self.grids and fit.tensor.layers == (call.layer.path,)]
        last = max((order.index(id(fit.tensor)) for fit in own), default=-1)
        return [fit for fit in own if id(fit.tensor) == order[last] and fit.rounding is not None]

    def _trust(self, fit: Fit, furthest: frozenset[str]) -> tuple[bool, int, int, float]:
        """Where rounding is known a fit says more than by its noise; then the furthest, then the closest.

        On grids a small shift is within rounding: there the names go before how far a fit reaches.
        """
        against = self._contradictions(fit, furthest) if self.grids else 0
        return self.grids is None or fit.rounding is not None, -against, len(fit.chain), -fit.local.relative

    def _fits(self, step: Step, tensors: Sequence[KeptTensor], place: Place) -> Iterator[Fit]:
        for tensor in [self.ends[step.end]] if step.end in self.ends else tensors:
            if squeezed(tensor.shape) == squeezed(step.array.shape) and (step.end, tensor.name) not in self.refused:
                lacks = self._lacks(step, tensor)
                right = as_numbers(step.array if lacks is None else step.array - lacks)
                array = as_numbers(shaped(tensor.load(), right))
                found = measure(right, array)
                if self.grids:
                    rounding = self.grids.ratio(tensor.index, array, right, place, step.bound)
                else:
                    rounding = self._rounding(step, right, array)
                by_gate = judge_distance(found, self.gate).status is Status.EQUAL
                passed = rounding <= 1.0 if rounding is not None else by_gate or self._inexact(step, right, array)
                clipped = None if by_gate else self._clipping(tensor, right, array)
                yield Fit(tensor, step.chain, found, rounding, passed, clipped, lacks, right)

    def _inexact(self, step: Step, right: Array, array: Array) -> bool:
        """Whether float32 explains an error of a layer for which there is no bound."""
        if not self.exact or step.bound is not None or not np.all(np.isfinite(array)):
            return False
        return bool(np.all(np.abs(right - array) <= self._rounding_measured.allowed(step.chain, step.values)))

    @cached_property
    def _rounding_measured(self) -> Inexact:
        return Inexact(self.network)

    def _clipping(self, tensor: KeptTensor, right: Array, array: Array) -> Clipping | None:
        """What the tensor's grid cannot hold, where that alone is more noise than the gate allows."""
        watch = self.grids.watch_clipping(tensor.index) if self.grids else None
        if watch is None:
            return None
        watch.update(right, array)
        return watch.result(self.gate.min_sqnr)

    def _lacks(self, step: Step, tensor: KeptTensor) -> Array | None:
        """What the layers add, where the operation of a file has no bias and those behind it can take it."""
        if self.file is None or not lacks_bias(self.file, tensor.index):
            return None
        users = self.network.graph.users(step.end)
        able = bool(users) and all(is_batchnorm(user.layer) or user.layer.kind in LINEAR for user in users)
        if not able and not adds_constant(self.file, tensor.index):
            return None
        return offset(self.network, step.chain, self._mixed)

    def _rounding(self, step: Step, right: Array, array: Array) -> float | None:
        """The largest difference as a part of what rounding explains; only where both sides compute in float32."""
        if step.bound is None or not self.exact:
            return None
        return max(step.bound.part(right[index] - array[index], index) for index in pieces(array.shape))

    @cached_property
    def written_out(self) -> WrittenOut:
        """What is in the middle of an activation: no layer's."""
        return written_out(self.network.graph, self.tensors)

    def _sources_of(self, call: Call) -> set[int]:
        """The tensors found for what a call takes."""
        return {self.taken[value].index for value in call.inputs if value in self.taken}

    def _tensors_of(self, call: Call) -> list[KeptTensor]:
        taken = {id(tensor) for tensor in self.taken.values()}
        taken |= self.written_out.tensors
        found = [t for t in self.tensors if call.layer.path in t.layers and id(t) not in taken]
        if self.grids is None:
            return found
        copies = self.grids.copies([t.index for t in found], self._sources_of(call))
        if call.layer.kind == "Activation":
            copies |= {t.index for t in found if self.goes_on(t.index, call.layer.path)}
        return [t for t in found if t.index not in copies] or found

    def goes_on(self, index: int, path: str) -> bool:
        """Whether what the file computes from a tensor is named after one layer alone: it is in the middle of that."""
        users = [] if self.file is None else self.file.users(index)
        copies = [i for user in users if user.name in COPYING for i in user.outputs]
        results = [self._told.get(i) for user in users if user.name not in COPYING for i in user.outputs]
        return (path,) in results or any(self.goes_on(i, path) for i in copies)

    @cached_property
    def _told(self) -> dict[int, tuple[str, ...]]:
        """The layers that the name of each tensor tells of."""
        return {tensor.index: tensor.layers for tensor in self.tensors}
