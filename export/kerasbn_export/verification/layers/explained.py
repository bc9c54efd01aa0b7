"""A blame has to explain the file.

A tensor is taken for the output of a layer by its name, and an operation behind the layer may be fused into it, or it
may be one from inside the layer. So before a layer that fails is called wrong, its tensor is put in its place in the
reference, which is run on to the outputs. If the tensor is that layer's, the outputs come nearer to the file's; if they
move away from them, it is not, and nothing is known of the layer::

    before = max|reference - file|      within = max|reference with the tensor - file|      at each output
    the tensor is not the layer's where within > 4*max(before, 1e-6)      both as a part of max|reference|
    at one output, and the furthest of all outputs comes no nearer

Nor is it the layer's where the file computes on from it under that layer's name alone, as it clips in hard_sigmoid.

An error that does not reach the outputs on this data moves nothing, and the blame stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from kerasbn_export.arrays import Array
from kerasbn_export.graph.model import Call, Value
from kerasbn_export.verification.layers.chains import chain_of
from kerasbn_export.verification.layers.fit import shaped
from kerasbn_export.verification.layers.localise import Localiser
from kerasbn_export.verification.records.layers import LayerComparison
from kerasbn_export.verification.records.measure import measure

AWAY = 4.0
ROUNDING = 1e-6

Blames = Iterable[tuple[Call, LayerComparison]]


def unexplained(localiser: Localiser, blames: Blames, arrays: Sequence[Array]) -> set[tuple[Value, str]]:
    """The values, each with the name of the tensor that is not its, up to the first blame that explains the file.

    Args:
        localiser: What has found the tensors.
        blames: The layers that are called wrong, in topological order.
        arrays: The sample that the tensors were computed from.
    """
    found: set[tuple[Value, str]] = set()
    before: list[float] = []
    for call, record in blames:
        before = before or _distances(localiser, localiser.network.run(arrays))
        chain = chain_of(localiser.network.graph, call, record)
        value = chain[-1].output
        if value in localiser.taken and localiser.goes_on(localiser.taken[value].index, chain[-1].layer.path):
            found |= {(step.output, record.tensor) for step in chain}
            continue
        within = localiser.network.run(arrays, {value: partial(localiser.held, value)})
        if not _moves_away(before, _distances(localiser, within)):
            break
        found.add((value, record.tensor))
    return found


def _distances(localiser: Localiser, outputs: Sequence[Array]) -> list[float]:
    """How far outputs are from those of the file, where it keeps them."""
    pairs = zip(localiser.network.outputs, outputs, strict=True)
    kept = [(array, localiser.ends[value].load()) for value, array in pairs if value in localiser.ends]
    return [measure(array, shaped(held, array)).relative for array, held in kept]


def _moves_away(before: Sequence[float], within: Sequence[float]) -> bool:
    further = any(after > AWAY * max(first, ROUNDING) for first, after in zip(before, within, strict=True))
    return further and max(within) >= max(before)
