"""Whether the values that a layer clips count: more than one of the user's own samples has to show it.

And it has to reach an output, which what a maximum leaves out does not::

    max|outputs with the values clipped - outputs| > 1e-6 * max|outputs|

A concatenation, a selection and a pooling take and give numbers on one grid, and the converter takes that of what they
give: what they take is clipped where that fits and the average of clipped values is no longer the same. No range was
measured wrongly, and the gate of the outputs decides: that is a note too.

Random inputs lead a network to values that it never has: with those it is a note.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace

from kerasbn_export.arrays import Array
from kerasbn_export.graph.model import Call, Value
from kerasbn_export.tflite.graph import TFLiteGraph
from kerasbn_export.verification.layers.chains import chain_of
from kerasbn_export.verification.layers.fit import shaped
from kerasbn_export.verification.layers.localise import Localiser
from kerasbn_export.verification.network.network import Network
from kerasbn_export.verification.records.clipping import Clipping, ClippingWatch
from kerasbn_export.verification.records.layers import LayerComparison
from kerasbn_export.verification.records.measure import measure
from kerasbn_export.verification.sides.sides import Batch, Sides
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner

Found = list[tuple[Call, LayerComparison]]

NOTHING = 1e-6
"""Of the largest value of an output: room for layers that have no kernel in float64."""


def failed_by_clipping(sides: Sides, localiser: Localiser, batch: Batch, worst: int, found: Found) -> tuple[Found, str]:
    """The same records, failed where the values that they clip are too much noise; and a note if that is not known.

    Args:
        sides: The two sides.
        localiser: What has found the records, on one sample.
        batch: The samples that this one is of.
        worst: Its number over all batches.
        found: The records.
    """
    graph = localiser.network.graph
    suspects = {chain_of(graph, call, its)[-1].output: its for call, its in found if its.clipping}
    if not suspects or not isinstance(sides.candidate, TFLiteRunner):
        return found, ""
    if batch.scale is not None:
        first, *others = [its.clipping.of(its.layer, its.tensor) for its in suspects.values() if its.clipping]
        more = f", and those of {len(others)} more layer(s)" if others else ""
        return _with(found, {}), f"on random inputs {first}{more}. Other data can tell whether that matters."
    clipped = _over(sides, sides.candidate, localiser, batch, worst, list(suspects))
    shared = (
        {}
        if localiser.differs
        else {v: its for v, its in clipped.items() if _of_what_is_behind(localiser, v, suspects)}
    )
    notes = [
        f"{its.of(suspects[value].layer, suspects[value].tensor)}: that is the range of what is computed of them, "
        "which TFLite wants on the same grid."
        for value, its in shared.items()
    ]
    failed = {id(suspects[value]): its for value, its in clipped.items() if value not in shared}
    return _with(found, failed), " ".join(notes)


def _of_what_is_behind(localiser: Localiser, value: Value, suspects: Container[Value]) -> bool:
    """Whether a tensor has the grid of another layer's output that an operation gives of it, and that one fits.

    Where that layer has 16 bits there is a QUANTIZE between, and both grids reach as far.
    """
    graph, holding = localiser.file, {tensor.index: held for held, tensor in localiser.taken.items()}
    if graph is None:
        return False
    waiting = [localiser.taken[value].index]
    while waiting:
        index = waiting.pop()
        behind = [i for user in graph.users(index) for i in user.outputs if _reaches_as_far(graph, index, i, user.name)]
        if any(i in holding and holding[i] not in suspects for i in behind):
            return True
        waiting += [i for i in behind if i not in holding]
    return False


def _reaches_as_far(graph: TFLiteGraph, index: int, behind: int, operation: str) -> bool:
    before, after = (graph.tensors[i].quantization for i in (index, behind))
    if before is None or after is None or operation != "QUANTIZE":
        return before is not None and before == after
    ends = [max(map(abs, grid.range)) for grid in (before, after)]
    return {before.dtype, after.dtype} == {"int8", "int16"} and abs(ends[0] - ends[1]) <= max(before.scale, after.scale)


def _with(found: Found, clipped: Mapping[int, Clipping]) -> Found:
    return [
        (call, replace(its, clipping=clipped[id(its)], passed=False, rounding=clipped[id(its)].times))
        if id(its) in clipped
        else (call, replace(its, clipping=None))
        for call, its in found
    ]


def _over(
    sides: Sides, candidate: TFLiteRunner, localiser: Localiser, batch: Batch, worst: int, values: Sequence[Value]
) -> dict[Value, Clipping]:
    """What is clipped of some values over the samples that run together with the worst, where two or more show it."""
    grids, gate, network = localiser.grids, localiser.gate.min_sqnr, localiser.network
    tensors = {value: localiser.taken[value].index for value in values}
    every = {v: watch for v, i in tensors.items() if grids and (watch := grids.watch_clipping(i))}
    shown = dict.fromkeys(every, 0)
    start, arrays = batch.chunk_of(worst)
    enough = min(2, len(arrays[0]))
    for number in range(start, start + len(arrays[0])):
        sample = batch.sample(number, candidate.inputs[0].shape[0] or 1)
        held = candidate.kept(list(tensors.values()), sides.for_candidate(sample))
        for value, right in _values(network, sides.as_seen(sample), every):
            right = right - localiser.lacking.get(value, 0.0)
            found = shaped(held[tensors[value]][1](), right)
            alone = grids.watch_clipping(tensors[value]) if grids else None
            for watch in filter(None, (every[value], alone)):
                watch.update(right, found)
            if alone and alone.result(gate) and shown[value] < enough:
                shown[value] += _reaches_an_output(localiser, sides.as_seen(sample), value, alone)
    return {v: its for v, watch in every.items() if shown[v] >= enough and (its := watch.result(gate))}


def _reaches_an_output(localiser: Localiser, arrays: Sequence[Array], value: Value, watch: ClippingWatch) -> bool:
    """Whether an output of the reference is another where one value is clipped."""
    lacking = localiser.lacking.get(value, 0.0)

    def clipped(array: Array) -> Array:
        return watch.held(array - lacking) + lacking

    network = localiser.network
    pairs = zip(network.run(arrays), network.run(arrays, {value: clipped}), strict=True)
    return any(not measure(*pair).relative <= NOTHING for pair in pairs)


def _values(network: Network, arrays: Sequence[Array], wanted: Container[Value]) -> Iterator[tuple[Value, Array]]:
    """Some values of the reference in float64."""
    running = network.start(arrays)
    for call in network.computing():
        running.update(network.evaluate(call, running))
        yield from ((value, running[value]) for value in call.outputs if value in wanted)
        network.release(call, running)
