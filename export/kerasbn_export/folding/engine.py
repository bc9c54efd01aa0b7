"""The engine: every BatchNorm of a graph looks for a way out, until none finds one any more.

A way is found first and applied as a whole, or not at all. The engine asks once, for every rule, whether anything
else sees a value that a rule wants to change.
"""

from __future__ import annotations

from collections.abc import Iterator

from kerasbn_export.folding.affine_calls import computes_affine, read
from kerasbn_export.folding.choices import Choices
from kerasbn_export.folding.hard_swish import scales_hard_swish
from kerasbn_export.folding.ledger import Ledger
from kerasbn_export.folding.passes import border_map, constant_one
from kerasbn_export.folding.passes.activation import place_activations
from kerasbn_export.folding.passes.branches import merge_branches
from kerasbn_export.folding.passes.clone import clone_producers
from kerasbn_export.folding.passes.collapse import collapse_sums
from kerasbn_export.folding.passes.companion import accompany
from kerasbn_export.folding.passes.duplicate_relus import unite_twins
from kerasbn_export.folding.passes.lower import lower
from kerasbn_export.folding.passes.magnitude import send_magnitudes
from kerasbn_export.folding.passes.release import release_producers
from kerasbn_export.folding.passes.series import merge_series
from kerasbn_export.folding.passes.unroll_time import unroll_time
from kerasbn_export.folding.route import Way, forward_step, travel, ways
from kerasbn_export.folding.rules import norms
from kerasbn_export.folding.rules.step import Refusal
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph.batchnorm import is_batchnorm, is_training
from kerasbn_export.graph.model import Call, Graph, Layer


def fold_batchnorms(graph: Graph, chosen: Choices | None = None) -> Ledger:
    """Fold every BatchNorm of the graph that has a way, lower what is left; the ledger says what became of each.

    Rescaling, Normalization and constants are folded on the same ways; where they have none they stay as they are.

    Args:
        graph: The graph; it is rewritten.
        chosen: Which of several exact forms to use, None for the fastest.
    """
    chosen = chosen or Choices()
    graph.may_clone, graph.passes_averages = chosen.clone, chosen.averages
    graph.kernel_per_position = chosen.positions
    unroll_time(graph)
    collapse_sums(graph)
    ledger = Ledger(graph)
    if chosen.clone:
        clone_producers(graph)
    if chosen.magnitudes:
        fold_all(graph, ledger, backward_only=True)
        send_magnitudes(graph, ledger)
    fold_all(graph, ledger, backward_only=not chosen.forward)
    while chosen.merge and (merges := [*merge_branches(graph), *merge_series(graph)]):
        for done in merges:
            ledger.merged(done)
        fold_all(graph, ledger, backward_only=not chosen.forward)
    _release(graph, ledger, chosen)
    if chosen.constant_one:
        carry_ones(graph, ledger)
    if chosen.forward:
        draw_maps(graph, ledger)
    for call in graph.in_order():
        lower(graph, call, ledger)
    if chosen.forward:
        release_norms(graph)
    unite_twins(graph)
    place_activations(graph)
    if chosen.accompany:
        accompany(graph)
    reunite(graph)
    return ledger


def _release(graph: Graph, ledger: Ledger, chosen: Choices) -> None:
    """Leave linear layers to the BatchNorms that are still behind them, where it pays."""
    if all((chosen.merge, chosen.clone)):
        release_producers(graph)
        fold_all(graph, ledger, backward_only=not chosen.forward)


def carry_ones(graph: Graph, ledger: Ledger) -> None:
    """Let every BatchNorm before zero padding go by a channel of ones."""
    for call in graph.in_order():
        push = read(call) if is_batchnorm(call.layer) else None
        channel = None if push is None else constant_one.find(graph, call, push)
        taken = None if push is None or channel is None else constant_one.apply(channel, push)
        if taken is not None:
            ledger.absorbed(call, "constant-one", taken)
            graph.bypass(call)


def draw_maps(graph: Graph, ledger: Ledger) -> None:
    """Let every BatchNorm before zero padding go behind it as a map, where that is the smallest form."""
    for call in graph.in_order():
        push = read(call) if is_batchnorm(call.layer) else None
        site = None if push is None else border_map.find(graph, call, push)
        if push is not None and site is not None and border_map.apply(graph, site, call, push):
            ledger.lowered(call, "border-map")


def fold_all(graph: Graph, ledger: Ledger, *, backward_only: bool = False) -> None:
    """Let every affine look for a way, until none finds one: one that is gone may have cleared another's."""
    while _fold_each(graph, ledger, backward_only=backward_only):
        pass


def _fold_each(graph: Graph, ledger: Ledger, *, backward_only: bool) -> bool:
    """Let every affine look for a way; whether there are both, some that found one and some that found none."""
    pending: dict[Call, None] = dict.fromkeys(call for call in graph.in_order() if _is_affine(graph, call))
    refused: set[Call] = set()
    placed = False
    while pending:
        call = next(iter(pending))
        del pending[call]
        outcome = place(graph, call, backward_only=backward_only)
        if isinstance(outcome, Refusal):
            ledger.refused(call, outcome)
            refused.add(call)
            continue
        placed = True
        refused.discard(call)
        ledger.placed(call, outcome)
        pending.update(dict.fromkeys(_neighbours(graph, call)))
        graph.bypass(call)
    return placed and bool(refused)


def release_norms(graph: Graph) -> None:
    """Let gamma and beta of every LayerNormalization and GroupNormalization go forward where they can."""
    for call in graph.in_order():
        push = norms.tail(call)
        if push is not None and isinstance(travel(graph, [(forward_step, push)]), Way):
            call.layer = norms.without_tail(call.layer)


def place(graph: Graph, call: Call, *, backward_only: bool = False) -> Way | Refusal:
    """A way out for one call, already taken; or why there is none."""
    if is_batchnorm(call.layer) and is_training(call):
        return Refusal(Reason.TRAINING, "It is called with training=True and normalises with the batch's statistics.")
    push = read(call)
    if push is None:
        return Refusal(Reason.SHAPE, "The rank of its input is not known, or it changes the precision.")
    return ways(graph, call, push, backward_only=backward_only)


def _is_affine(graph: Graph, call: Call) -> bool:
    return is_batchnorm(call.layer) or (computes_affine(call) and not scales_hard_swish(graph, call))


def _neighbours(graph: Graph, call: Call) -> Iterator[Call]:
    """The affines right before and behind: what was refused before may have a way now."""
    yield from (user for user in graph.users(call.output) if _is_affine(graph, user))
    producer = call.inputs[0].producer
    if producer is not None and _is_affine(graph, producer):
        yield producer


def reunite(graph: Graph) -> None:
    """Calls whose layers were one and came out equal share one layer again."""
    versions: dict[tuple[int, str], list[Layer]] = {}
    for call in graph:
        known = versions.setdefault((id(call.layer.source), call.layer.path), [])
        twin = next((layer for layer in known if layer is call.layer or _equal(layer, call.layer)), None)
        if twin is None:
            known.append(call.layer)
        else:
            call.layer = twin


def _equal(one: Layer, other: Layer) -> bool:
    if one.config != other.config:
        return False
    a, b = one.weights, other.weights
    return a.keys() == b.keys() and all(a[name].shape == b[name].shape and (a[name] == b[name]).all() for name in a)
