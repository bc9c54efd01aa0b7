"""From the layers compared to the first that is wrong while what it is given is right."""

from __future__ import annotations

from collections.abc import Sequence

from kerasbn_export.graph import Call, Graph, Value
from kerasbn_export.verify.gates import Gate
from kerasbn_export.verify.records import Divergence, LayerComparison


def first_divergence(graph: Graph, found: Sequence[tuple[Call, LayerComparison]], gate: Gate) -> Divergence | None:
    """The first layer in topological order that fails and that no later layer makes good.

    A fold may let a layer give other numbers on purpose, which a later layer takes back; a layer after which the
    candidate is right again is such a one.

    Args:
        graph: The reference.
        found: The layers compared, in topological order.
        gate: What a layer has to reach.
    """
    by_path = {call.layer.path: call for call in graph}
    for number, (call, record) in enumerate(found):
        if not record.passed and not _made_good(graph, call, found[number + 1 :], gate):
            suspects = (
                *_unseen_before(graph, call, {by_path[r.position] for _, r in found}),
                record.layer,
                *record.merged,
            )
            return _divergence(record, suspects, sum(not r.passed for _, r in found))
    return None


def _made_good(graph: Graph, call: Call, later: Sequence[tuple[Call, LayerComparison]], gate: Gate) -> bool:
    reached = _reached(graph, call)
    return any(
        other in reached and gate.tolerance is not None and record.cumulative_error <= gate.tolerance
        for other, record in later
    )


def _reached(graph: Graph, call: Call) -> set[Call]:
    """The calls that depend on a call."""
    reached: set[Call] = set()
    waiting = [call]
    while waiting:
        users = [user for value in waiting.pop().outputs for user in graph.users(value) if user not in reached]
        reached.update(users)
        waiting.extend(users)
    return reached


def _unseen_before(graph: Graph, call: Call, seen: set[Call]) -> tuple[str, ...]:
    """The layers before a call of which the candidate shows no tensor: the error may be theirs."""
    unseen: dict[Call, None] = {}
    waiting: list[Value] = list(call.inputs)
    while waiting:
        producer = waiting.pop().producer
        if producer is not None and producer not in seen and producer not in unseen and producer.inputs:
            unseen[producer] = None
            waiting.extend(producer.inputs)
    return tuple(other.layer.path for other in graph.in_order() if other in unseen)


def _divergence(record: LayerComparison, suspects: tuple[str, ...], failing: int) -> Divergence:
    merged = f" (with {', '.join(s for s in suspects if s != record.layer)})" if len(suspects) > 1 else ""
    more = f" {failing - 1} more layer(s) err on their own account." if failing > 1 else ""
    return Divergence(
        layer=record.layer,
        suspects=suspects,
        tensor=record.tensor,
        local_error=record.local_error,
        cumulative_error=record.cumulative_error,
        sentence=f"First wrong layer: {record.layer!r}{merged}: local error {record.local_error:.3g} of "
        f"max|reference| in tensor {record.tensor!r}, while its inputs are right.{more}",
    )
