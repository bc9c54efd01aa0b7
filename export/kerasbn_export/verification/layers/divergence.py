"""From the layers compared to the first that is wrong while what it is given is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from kerasbn_export.graph.model import Call, Graph, Value
from kerasbn_export.verification.layers.chains import chain_of
from kerasbn_export.verification.network.network import FLATTENING
from kerasbn_export.verification.records.gates import Gate
from kerasbn_export.verification.records.layers import Divergence, LayerComparison

Found = Sequence[tuple[Call, LayerComparison]]

MAXIMA = ("MaxPooling", "GlobalMaxPooling")
NOISE = 4.0
"""How many times the reference's own error at a layer that of a right candidate may be: 1.8 was seen, on one sample."""


def settled(
    graph: Graph, found: Found, gate: Gate, own_errors: Callable[[], Mapping[str, float]] = dict
) -> list[tuple[Call, LayerComparison]]:
    """The same records; those that fail because a fold moved a scale or a shift across them are marked as moved.

    Such a layer gives other numbers on purpose, which a later layer takes back: both fail on their own account, and
    after the second the candidate is right again.

    Args:
        graph: The reference.
        found: The layers compared, in topological order.
        gate: What an output has to reach.
        own_errors: Gives how far the reference itself is from float64, by layer. Asked for only where a layer fails
            that is not made good within the gate: a network may make more of its own rounding than the gate allows.
    """
    marked = _marked(graph, found, gate)
    if gate.tolerance is not None and any(not record.passed and not record.moved for _, record in marked):
        own = own_errors()
        allowed = [(call, _within(record, NOISE * own.get(record.position, 0.0))) for call, record in found]
        marked = [
            (call, replace(record, moved=moved.moved))
            for (call, record), (_, moved) in zip(found, _marked(graph, allowed, gate), strict=True)
        ]
    if gate.tolerance is not None or not any(record.moved for _, record in marked):
        return marked
    # Where scales were moved at all, noise cannot tell a layer across which they were from one that is a little off.
    return [(call, replace(record, moved=_may_be_moved(call, record))) for call, record in marked]


def _marked(graph: Graph, found: Found, gate: Gate) -> list[tuple[Call, LayerComparison]]:
    return [
        (call, replace(record, moved=_may_be_moved(call, record) and _made_good(graph, call, record, found, gate)))
        for call, record in found
    ]


def _within(record: LayerComparison, rounding: float) -> LayerComparison:
    """The record, with no error where what there is so far is no more than rounding."""
    return replace(record, cumulative_error=0.0) if record.cumulative_error <= rounding else record


def _may_be_moved(call: Call, record: LayerComparison) -> bool:
    """Whether it fails by what a fold may do on purpose: to clip values is not.

    Nor is it an error of a maximum beyond rounding: what moves across one is in what it takes, as in what it gives.
    """
    of_maximum = record.rounding is not None and str(call.layer.kind).startswith(MAXIMA)
    return not record.passed and record.clipping is None and not of_maximum


def wrong_layers(graph: Graph, found: Found, gate: Gate, *, outputs_differ: bool) -> list[tuple[Call, LayerComparison]]:
    """The layers that fail and are not moved, in topological order.

    Args:
        graph: The reference.
        found: The layers compared and settled, in topological order.
        gate: What an output has to reach.
        outputs_differ: Whether an output fails; if none does, only an error counts that rounding cannot explain.
    """
    wrong = [(call, record) for call, record in found if not record.passed and not record.moved]
    wrong = [(call, record) for call, record in wrong if outputs_differ or record.rounding is not None]
    if gate.tolerance is None:  # an error beyond rounding tells more than much noise
        wrong = [(call, record) for call, record in wrong if record.rounding is not None] or wrong
    if not wrong and outputs_differ:
        wrong = [
            (call, record)
            for call, record in found
            if not (_by_noise(record, gate) or _on_a_fixed_grid(chain_of(graph, call, record)[-1]))
        ]
    return wrong


def first_divergence(graph: Graph, found: Found, gate: Gate, *, outputs_differ: bool) -> Divergence | None:
    """The first of the wrong layers.

    Args:
        graph: The reference.
        found: The layers compared and settled, in topological order.
        gate: What an output has to reach.
        outputs_differ: Whether an output fails.
    """
    seen = {chain_of(graph, call, record)[-1] for call, record in found}
    wrong = wrong_layers(graph, found, gate, outputs_differ=outputs_differ)
    if not wrong:
        return None
    call, record = wrong[0]
    suspects = (*_unseen_before(graph, call, seen), *chain_of(graph, call, record))
    return _divergence(record, suspects, len(wrong) - 1)


def _made_good(graph: Graph, call: Call, record: LayerComparison, found: Found, gate: Gate) -> bool:
    if gate.tolerance is not None:
        return _right_again(record, gate) or _undone(graph, call, found, gate)
    # By noise alone a small error is right again at once: two layers have to have failed.
    failed = [other for other, its in found if not its.passed and call in _reached(graph, other)]
    return _undone(graph, call, found, gate) or (_right_again(record, gate) and bool(failed))


def _right_again(record: LayerComparison, gate: Gate) -> bool:
    if gate.tolerance is not None:
        return record.cumulative_error <= gate.tolerance
    return gate.min_sqnr is not None and record.cumulative_sqnr_db >= gate.min_sqnr


def _by_noise(record: LayerComparison, gate: Gate) -> bool:
    """Whether the noise of a quantised layer is as the gate of outputs has it, clipped values and all."""
    return gate.min_sqnr is None or record.local_sqnr_db >= gate.min_sqnr


def _on_a_fixed_grid(call: Call) -> bool:
    """Whether it is a softmax or sigmoid, whose grid clips nothing, so that its steps are all that is wrong."""
    return call.layer.kind == "Activation" and call.layer.config.get("activation") in FLATTENING


def _undone(graph: Graph, call: Call, found: Found, gate: Gate) -> bool:
    reached = _reached(graph, call)
    return any(other in reached and not record.passed and _right_again(record, gate) for other, record in found)


def _reached(graph: Graph, call: Call) -> set[Call]:
    """The calls that depend on a call."""
    reached: set[Call] = set()
    waiting = [call]
    while waiting:
        users = [user for value in waiting.pop().outputs for user in graph.users(value) if user not in reached]
        reached.update(users)
        waiting.extend(users)
    return reached


def _unseen_before(graph: Graph, call: Call, seen: set[Call]) -> tuple[Call, ...]:
    """The calls before a call of which the candidate shows no tensor: the error may be theirs."""
    unseen: dict[Call, None] = {}
    waiting: list[Value] = list(call.inputs)
    while waiting:
        producer = waiting.pop().producer
        if producer is not None and producer not in seen and producer not in unseen and producer.inputs:
            unseen[producer] = None
            waiting.extend(producer.inputs)
    return tuple(other for other in graph.in_order() if other in unseen)


def _blamed(suspects: Sequence[Call], failing: str) -> str:
    """The failing layer; where it has no weights to be wrong, the last suspect before it that has some."""
    paths = [call.layer.path for call in suspects]
    before = [call for call in suspects[: paths.index(failing) + 1] if call.layer.weights]
    return str(before[-1].layer.path) if before else failing


def _divergence(record: LayerComparison, suspects: Sequence[Call], others: int) -> Divergence:
    layer, paths = _blamed(suspects, record.layer), tuple(call.layer.path for call in suspects)
    merged = f" (with {', '.join(path for path in paths if path != layer)})" if len(paths) > 1 else ""
    more = f" {others} more layer(s) err on their own account." if others else ""
    times = "" if record.rounding is None else f", {record.rounding:.3g} times what rounding explains,"
    clipped = f" {record.clipping.of(layer, record.tensor)}." if record.clipping else ""
    return Divergence(
        layer=layer,
        suspects=paths,
        tensor=record.tensor,
        local_error=record.local_error,
        cumulative_error=record.cumulative_error,
        sentence=f"First wrong layer: {layer!r}{merged}: local error {record.local_error:.3g} of "
        f"max|reference|{times} in tensor {record.tensor!r}, while its inputs are right.{clipped}{more}",
    )
