"""The engine: every BatchNorm of a graph looks for a way out, until none finds one any more.

A way is found first and applied as a whole, or not at all. The engine asks once, for every rule, whether anything
else sees a value that a rule wants to change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kerasbn_export.batchnorm import affine, axes, is_batchnorm, is_training
from kerasbn_export.graph import Call, Graph, Layer
from kerasbn_export.ledger import Ledger
from kerasbn_export.rules import BACKWARD
from kerasbn_export.rules.step import Push, Refusal, Step
from kerasbn_export.verdict import Reason

LONGEST_WAY = 256
"""Steps after which a way is given up: ways are short, and a graph may have thousands of layers."""


@dataclass
class Way:
    """The steps that place an affine completely."""

    steps: list[Step] = field(default_factory=list)

    def apply(self) -> None:
        """Give each call the layer that its step says."""
        for step in self.steps:
            if step.layer is not None:
                step.call.layer = step.layer


def fold_batchnorms(graph: Graph) -> Ledger:
    """Fold every BatchNorm of the graph that has a way; the ledger says what became of each."""
    ledger = Ledger(graph)
    pending: dict[Call, None] = dict.fromkeys(call for call in graph.in_order() if is_batchnorm(call.layer))
    while pending:
        call = next(iter(pending))
        del pending[call]
        outcome = place(graph, call)
        if isinstance(outcome, Refusal):
            ledger.refused(call, outcome)
            continue
        outcome.apply()
        ledger.placed(call, outcome.steps)
        pending.update(dict.fromkeys(_after(graph, call)))
        graph.bypass(call)
    reunite(graph)
    return ledger


def place(graph: Graph, call: Call) -> Way | Refusal:
    """A way out for one BatchNorm call, or why there is none."""
    if is_training(call):
        return Refusal(Reason.TRAINING, "It is called with training=True and normalises with the batch's statistics.")
    value = call.inputs[0]
    if value.rank is None:
        return Refusal(Reason.AXIS, "The rank of its input is not known.")
    push = Push(value, affine(call.layer), axes(call.layer, value.rank))
    if push.affine.is_identity:
        return Way([Step("identity", call)])
    return backward(graph, push)


def backward(graph: Graph, push: Push) -> Way | Refusal:
    """The way of an affine to the layers that compute its input."""
    way, pending = Way(), [push]
    while pending:
        push = pending.pop()
        step = _step_backward(graph, push) if len(way.steps) < LONGEST_WAY else _too_long()
        if isinstance(step, Refusal):
            return step
        way.steps.append(step)
        pending.extend(step.onward)
    return way


def _step_backward(graph: Graph, push: Push) -> Step | Refusal:
    call = push.value.producer
    if call is None or call.layer.kind == "InputLayer":
        return Refusal(Reason.MODEL_INPUT, "It normalises an input of the model: there is no layer before it.")
    for rule in BACKWARD:
        step = rule(graph, call, push)
        if step is not None:
            if isinstance(step, Step) and graph.sole_user(push.value) is None:
                return _several_uses(graph, call, push)
            return step
    kind = call.layer.kind or type(call.layer.source).__name__
    return Refusal(Reason.NOT_LINEAR, f"Its input comes from {kind} {call.layer.path!r}, which takes no affine in.")


def _several_uses(graph: Graph, call: Call, push: Push) -> Refusal:
    users = [f"{user.layer.path!r}" for user in graph.users(push.value)]
    users += ["the model's output"] if graph.is_output(push.value) else []
    return Refusal(Reason.SEVERAL_USES, f"The output of {call.layer.path!r} is used by {', '.join(users)}.")


def _too_long() -> Refusal:
    return Refusal(Reason.NOT_LINEAR, f"No layer that takes an affine in was found within {LONGEST_WAY} steps.")


def _after(graph: Graph, call: Call) -> Iterator[Call]:
    """The BatchNorms right behind: what was refused before may have a way now."""
    return (user for user in graph.users(call.output) if is_batchnorm(user.layer))


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
