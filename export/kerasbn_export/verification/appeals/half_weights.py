"""Outputs of a float16 file outside the gate, where just the rounding of its weights explains them.

A float16 file computes in float32 with weights of 11 bits. The reference folded as the file is, its weights rounded in
the same way, is run in float64. Where no layer errs by its own inputs, an output passes if both hold::

    max|candidate - rounded| <= tolerance * max|reference|
    max|candidate - float64| <= 4 * tolerance * max|reference|

A softmax or sigmoid p of numbers z stands as these do: it turns a difference into no more than half of it, which may be
far outside a gate for numbers from 0 to 1 where the numbers before are large::

    max|dp| <= 1/2 max|dz|

A network of which rounding makes more than that differs on your own data: it is not fit for float16. Random inputs may
lead it where it never is, and then prove nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kerasbn.errors import KerasBNError
from kerasbn_export.capture import capture
from kerasbn_export.graph.model import Graph, Layer
from kerasbn_export.verification.appeals.case import Case, Key, Outputs, is_open
from kerasbn_export.verification.appeals.growth import GROWTH
from kerasbn_export.verification.layers.refolded import folded_graph
from kerasbn_export.verification.network.network import Network
from kerasbn_export.verification.outputs.outputs import BEFORE
from kerasbn_export.verification.records.measure import Measure
from kerasbn_export.verification.records.outputs import OutputComparison, Status
from kerasbn_export.verification.sides.keras_runner import KerasRunner
from kerasbn_export.verification.sides.sides import Batch, Sides


@dataclass(frozen=True)
class _Apart:
    """How far an output of the file is from two networks in float64, as parts of the largest value."""

    exact: float
    rounded: float


def allowing_for_half_weights(case: Case, outputs: Outputs) -> Outputs:
    """The same records; those that the rounding of the weights explains are equal.

    Args:
        case: What was compared.
        outputs: The outputs as judged.
    """
    if not case.is_heard(outputs, "float16"):
        return outputs
    sides, network, batches = case.sides, case.network, case.batches
    rounded = _rounded(sides)
    if rounded is None:
        return outputs
    try:
        found = [_apart(sides, batch, network, rounded) for batch in batches]
    except KerasBNError:  # a layer cannot be run alone
        return outputs
    numbers = _numbers(outputs)
    random = batches[0].scale is not None
    again = [
        _again(its, [each.get(key) for each in found], random=random) for key, its in zip(numbers, outputs, strict=True)
    ]
    before = {output.name: output for output in again if output.stage == BEFORE}
    return tuple(_by_its_scores(output, before.get(output.name)) for output in again)


def _numbers(outputs: Outputs) -> list[Key]:
    """The number and the stage of each record: what stands before an activation follows its output."""
    names = list(dict.fromkeys(output.name for output in outputs))
    return [(names.index(output.name), output.stage) for output in outputs]


def _rounded(sides: Sides) -> Network | None:
    """The reference with weights of 11 bits, folded if the file says how."""
    if not isinstance(sides.reference, KerasRunner):
        return None
    graph = folded_graph(sides) or capture(sides.reference.original)
    _round_weights(graph)
    return Network(graph)


def _round_weights(graph: Graph) -> None:
    layers: dict[int, Layer] = {id(call.layer): call.layer for call in graph}
    for layer in layers.values():
        if layer.kind is not None and layer.weights:
            held = layer.weights.items()
            layer.new_weights = {name: its.astype("float16").astype("float64") for name, its in held if _floats(its)}
            layer.new_weights |= {name: its for name, its in held if not _floats(its)}


def _floats(array: np.ndarray) -> bool:
    return bool(array.dtype.kind == "f")


def _apart(sides: Sides, batch: Batch, network: Network, rounded: Network) -> dict[Key, _Apart]:
    running: dict[Key, tuple[Measure, Measure]] = {}
    for part in batch.chunks():
        exact, near = network.run_with_scores(part), rounded.run_with_scores(part)
        for index, stage, _, candidate in sides.run(part):
            measures = running.setdefault((index, stage), (Measure(), Measure()))
            for measure, values in zip(measures, (exact, near), strict=True):
                array = values[stage == BEFORE][index]
                if array is not None:
                    measure.update(array, candidate)
    return {key: _Apart(a.result().relative, b.result().relative) for key, (a, b) in running.items()}


def _again(output: OutputComparison, found: Sequence[_Apart | None], *, random: bool) -> OutputComparison:
    tolerance = output.gate.tolerance
    known = [apart for apart in found if apart is not None]
    if not is_open(output) or tolerance is None or len(known) < len(found):
        return output
    exact, rounded = max(apart.exact for apart in known), max(apart.rounded for apart in known)
    far = exact > GROWTH * tolerance
    if not rounded <= tolerance or (far and not random):
        return output
    reason = (
        f"max|difference| is {exact:.3g} of max|reference|; every layer is right by its own inputs, and the model with "
        f"its weights rounded to float16 is within {rounded:.3g} of the file."
    )
    if far:
        return replace(
            output, status=Status.UNPROVEN, reason=f"{reason} Random inputs may lead it there; give real ones."
        )
    return replace(output, status=Status.EQUAL, reason=reason)


def _by_its_scores(output: OutputComparison, before: OutputComparison | None) -> OutputComparison:
    """A softmax or sigmoid outside the gate, as what goes into it was judged."""
    if not is_open(output) or before is None or before.status is Status.DIFFERS:
        return output
    difference, given = output.measurement.max_difference, before.measurement.max_difference
    if not difference <= given / 2:
        return output
    reason = f"{output.name} is off by {difference:.2g}, of {given:.2g} before its activation: {before.reason}"
    return replace(output, status=before.status, reason=reason)
