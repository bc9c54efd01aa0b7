"""The engine: every BatchNorm of a graph looks for a way out, until none finds one any more.

A way is found first and applied as a whole, or not at all. The engine asks once, for every rule, whether anything
else sees a value that a rule wants to change.
"""

from __future__ import annotations

from collections.abc import Iterator

from kerasbn_export.batchnorm import affine, axes, is_batchnorm, is_training
from kerasbn_export.graph import Call, Graph, Layer
from kerasbn_export.ledger import Ledger
from kerasbn_export.lower import lower
from kerasbn_export.rules.step import Push, Refusal
from kerasbn_export.verdict import Reason
from kerasbn_export.way import Way, ways


def fold_batchnorms(graph: Graph) -> Ledger:
    """Fold every BatchNorm of the graph that has a way, lower what is left; the ledger says what became of each."""
    ledger = Ledger(graph)
    pending: dict[Call, None] = dict.fromkeys(call for call in graph.in_order() if is_batchnorm(call.layer))
    while pending:
        call = next(iter(pending))
        del pending[call]
        outcome = place(graph, call)
        if isinstance(outcome, Refusal):
            ledger.refused(call, outcome)
            continue
        ledger.placed(call, outcome)
        pending.update(dict.fromkeys(_neighbours(graph, call)))
        graph.bypass(call)
    for call in graph.in_order():
        if is_batchnorm(call.layer):
            lower(graph, call, ledger)
    reunite(graph)
    return ledger


def place(graph: Graph, call: Call) -> Way | Refusal:
    """A way out for one BatchNorm call, already taken; or why there is none."""
    if is_training(call):
        return Refusal(Reason.TRAINING, "It is called with training=True and normalises with the batch's statistics.")
    value = call.inputs[0]
    if value.rank is None:
        return Refusal(Reason.SHAPE, "The rank of its input is not known.")
    return ways(graph, call, Push(value, affine(call.layer), axes(call.layer, value.rank)))


def _neighbours(graph: Graph, call: Call) -> Iterator[Call]:
    """The BatchNorms right before and behind: what was refused before may have a way now."""
    yield from (user for user in graph.users(call.output) if is_batchnorm(user.layer))
    producer = call.inputs[0].producer
    if producer is not None and is_batchnorm(producer.layer):
        yield producer


def reunite(graph: Graph) -> None:
    """Calls whose layers were one and came out equal share one layer again."""
    versions: dict[int, list[Layer]] = {}
    for call in graph:
        known = versions.setdefault(id(call.layer.source), [])
        twin = next((layer for layer in known if layer is call.layer or _equal(layer, call.layer)), None)
        if twin is None:
            known.append(call.layer)
        else:
            call.layer = twin


def _equal(one: Layer, other: Layer) -> bool:
    if one.source is None or one.source is not other.source or one.config != other.config:
        return False
    a, b = one.weights, other.weights
    return a.keys() == b.keys() and all(a[name].shape == b[name].shape and (a[name] == b[name]).all() for name in a)
