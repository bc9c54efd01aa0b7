"""A layer of several operations in a file with grids: what its own operations and its own grids explain.

How far rounding may take one operation is known (`grids`). A layer of several, as a LayerNormalization, a recurrent
layer or one of the user's own, may be right and still far from the reference. So where one is too far, its operations
are run again, from the numbers that the file gave them::

    exact     in float, on the real numbers of the file's constants
    rounded   the same, each result rounded to its grid, which clips nothing

The operations or constants are wrong where ``exact`` is not what the layer gives in float64, by the precision's gate.
For that the layers before it have to pass: else their tensors may be other ones than those taken for what it is given.
The grids are wrong, for they clip or lie elsewhere, where the file is further from ``rounded`` than two such ways of
rounding would be from each other, in two of the user's own samples::

    rms(file - rounded) > 2 rms(rounded - exact) + 2 s          s: the step of the layer's own grid
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.graph.model import Call, Value
from kerasbn_export.precision import CALIBRATED, PRECISIONS
from kerasbn_export.verification.layers.chains import chain_of
from kerasbn_export.verification.layers.explained import unexplained
from kerasbn_export.verification.layers.fit import shaped
from kerasbn_export.verification.layers.float_piece import FloatPieces
from kerasbn_export.verification.layers.localise import Localiser
from kerasbn_export.verification.records.layers import LayerComparison
from kerasbn_export.verification.records.measure import measure
from kerasbn_export.verification.sides.sides import Batch, Sides
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner

Found = list[tuple[Call, LayerComparison]]

APART = 2.0
"""Two independent ways of rounding are sqrt(2) of the noise of one apart."""

TINY = float(np.finfo(np.float32).tiny)

SAMPLES = 2
"""How many have to show a wrong grid."""


def by_operations(sides: Sides, localiser: Localiser, batch: Batch, worst: int, found: Found) -> Found:
    """The same records; of those that fail by noise alone, what their operations explain.

    Args:
        sides: The two sides.
        localiser: What has found the records, on one sample.
        batch: The samples that this one is of.
        worst: Its number over all batches.
        found: The records, settled.
    """
    candidate = sides.candidate
    open_ones = [
        (call, its) for call, its in found if not (its.passed or its.moved or its.clipping) and its.rounding is None
    ]
    if not open_ones or not isinstance(candidate, TFLiteRunner) or candidate.precision not in CALIBRATED:
        return found
    known = {chain_of(localiser.network.graph, call, its)[-1].output for call, its in found if its.passed}
    operations = _Operations(sides, localiser, candidate, batch, FloatPieces(candidate.content), known)
    judged = {id(its): operations.judged(call, its, worst) for call, its in open_ones}
    return [(call, judged.get(id(its), its)) for call, its in found]


@dataclass(frozen=True)
class _Operations:
    sides: Sides
    localiser: Localiser
    candidate: TFLiteRunner
    batch: Batch
    pieces: FloatPieces
    known: set[Value]
    """What layers gave that passed."""

    def judged(self, call: Call, record: LayerComparison, worst: int) -> LayerComparison:
        """A record with what is known of its layer's rounding."""
        chain = chain_of(self.localiser.network.graph, call, record)
        tensor = self.localiser.taken[chain[-1].output].index
        given = self._given(chain)
        before = list(self._before(given))
        held = self._held(worst, [tensor, *before])
        exact = self._computed(tensor, held, rounded=False)
        right = self.localiser.unknown.get(chain[-1].output)
        if exact is None or right is None or self.localiser.goes_on(tensor, chain[-1].layer.path):
            return record
        wrong = _as_noise(PRECISIONS[self.candidate.precision].min_sqnr, measure(right, shaped(exact, right)).sqnr_db)
        if wrong > 1.0 and not given.intersection(self.localiser.taken) <= self.known:
            return record
        if wrong > 1.0:
            seen = self.sides.as_seen(self._sample(worst))
            refused = unexplained(self.localiser, [(call, record)], seen)  # it may be another layer's tensor
            return record if refused else replace(record, rounding=wrong)
        if self.batch.scale is not None:
            return record  # random inputs lead a network to values that it never has
        grids = self._of_grids(tensor, before, worst)
        if grids is None:
            return record
        return replace(record, passed=grids <= 1.0, rounding=max(wrong, grids))

    @staticmethod
    def _given(chain: Sequence[Call]) -> set[Value]:
        """What some layers take from others."""
        return {value for call in chain for value in call.inputs}.difference(v for call in chain for v in call.outputs)

    def _before(self, given: Collection[Value]) -> Iterator[int]:
        """The tensors that hold some values."""
        graph, network, taken = self.candidate.graph, self.localiser.network, self.localiser.taken
        for value in given:
            yield from graph.aliases(taken[value].index) if value in taken else ()
        if any(value in network.inputs for value in given):
            yield from graph.inputs

    def _of_grids(self, tensor: int, before: Sequence[int], worst: int) -> float | None:
        """The error as a part of what the grids explain, of the samples that show most the least; None if not known."""
        start, arrays = self.batch.chunk_of(worst)
        numbers = range(start, start + len(arrays[0]))
        ratios = [self._ratio(tensor, self._held(number, [tensor, *before])) for number in numbers]
        known = sorted((ratio for ratio in ratios if ratio is not None), reverse=True)
        return known[min(SAMPLES, len(known)) - 1] if known else None

    def _ratio(self, tensor: int, held: Mapping[int, Array]) -> float | None:
        exact, rounded = (self._computed(tensor, held, rounded=flag) for flag in (False, True))
        if exact is None or rounded is None:
            return None
        allowed = APART * (_rms(rounded - exact) + self.candidate.graph.beyond(tensor)[1])
        return _rms(held[tensor].reshape(rounded.shape) - rounded) / max(allowed, TINY)

    def _computed(self, tensor: int, held: Mapping[int, Array], *, rounded: bool) -> Array | None:
        """What the operations give; None where that is not known, or is no number."""
        given = {index: array for index, array in held.items() if index != tensor}
        found = self.pieces.computed(tensor, given, rounded=rounded)
        return None if found is None or not np.all(np.isfinite(found)) else found

    def _held(self, number: int, indices: Sequence[int]) -> dict[int, Array]:
        """The real values of some tensors for one sample."""
        arrays = self.sides.for_candidate(self._sample(number))
        kept = {i: load() for i, (_, load) in self.candidate.kept(indices, arrays).items()}
        stored = self.candidate.stored(arrays, len(arrays[0]))
        return kept | {i: self.candidate.restore(i, array) for i, array in stored.items() if i in indices}

    def _sample(self, number: int) -> list[Array]:
        return self.batch.sample(number, self.candidate.inputs[0].shape[0] or 1)


def _as_noise(gate: float | None, sqnr: float) -> float:
    """How many times the noise is what the gate allows."""
    return 0.0 if gate is None else float(10.0 ** ((gate - sqnr) / 20.0))


def _rms(array: Array) -> float:
    return float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))
