"""Looks for the way of an affine: through which calls it passes, and which take it in.

An affine ``s*x + t`` has five ways that cost nothing. They are tried in this order, and the first that ends is taken:

=======================================  =====================================================================
backward                                 all of it into the layers before
forward                                  all of it into the layers behind
scale backward, shift forward            ``s*x + t``: first ``s*x``, then ``+ t``
shift backward, scale forward            ``s*(x + t/s)``: first ``+ t/s``, then ``s*``; every s is to be non-zero
backward, its inverse forward            all of it into the linear layer before, whose other users take ``(x - t)/s``
=======================================  =====================================================================

The last is for a value that others see as well; see `kerasbn_export.folding.rules.inverse` for its conditions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from kerasbn_export.folding.rules import BACKWARD, FORWARD, inverse, producer
from kerasbn_export.folding.rules.join import join, joins
from kerasbn_export.folding.rules.step import Push, Refusal, Step
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph.model import Call, Graph, Layer, Value

LONGEST = 256
"""Steps after which a way is given up: ways are short, and a graph may have thousands of layers."""

Stepping = Callable[[Graph, Push], Iterable[Step | Refusal]]
"""What a push meets next: one call backward, every consumer forward."""

Starts = list[tuple[Stepping, Push]]
"""Where a way begins: one affine, or the two halves of one, each with its direction."""


@dataclass
class Way:
    """Steps that place an affine completely.

    Attributes:
        directions: ``"backward"``, ``"forward"``, or both.
        steps: What is to be done, in this order.
    """

    directions: list[str] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def take(self) -> Refusal | None:
        """Change the layer of each call; where one refuses, leave all as they were and say why."""
        before: list[tuple[Call, Layer]] = []
        for step in self.steps:
            if step.change is None:
                continue
            changed = step.change(step.call.layer)
            if isinstance(changed, Refusal):
                for call, layer in reversed(before):
                    call.layer = layer
                return changed
            before.append((step.call, step.call.layer))
            step.call.layer = changed
        return None


def ways(graph: Graph, call: Call, push: Push, *, backward_only: bool = False) -> Way | Refusal:
    """The first way that costs nothing for the affine of one call, taken; or why each of them ends.

    Args:
        graph: The graph with the call in it.
        call: One input, one output, and nothing but the affine.
        push: The affine on the input of the call.
        backward_only: Whether only the first of the ways is tried.
    """
    whole, behind = push.affine, replace(push, value=call.output)
    if whole.is_identity:
        return Way(steps=[Step("identity", call)])
    if backward_only:
        return travel(graph, [(backward_step, push)])
    candidates: list[Starts] = [[(backward_step, push)], [(forward_step, behind)], *_splits(push, behind)]
    candidates += _past_others(graph, call, push)
    refusals = []
    for starts in candidates:
        way = travel(graph, starts)
        if isinstance(way, Way):
            return way
        refusals.append(way)
    return _no_way(refusals[0], refusals[1])


def _splits(push: Push, behind: Push) -> Iterable[Starts]:
    """A first part backward and a second part forward, which together are the whole."""
    whole, before = push.affine, push.affine.shift_before_scale
    parts = [(whole.scaling, whole.shifting)] + ([] if before is None else [(before, whole.scaling)])
    for first, second in parts:
        if not first.is_identity and not second.is_identity:
            yield [(backward_step, replace(push, affine=first)), (forward_step, replace(behind, affine=second))]


def _past_others(graph: Graph, call: Call, push: Push) -> Iterable[Starts]:
    """All of it into the layer before, its inverse forward into whatever else sees the value."""
    undone = inverse.find(graph, call, push)
    if undone is not None:
        others = [user for user in graph.users(push.value) if user is not call]
        yield [(_into_producer, push), *((_into(user, undone), undone) for user in others)]


def _into_producer(graph: Graph, push: Push) -> Iterable[Step | Refusal]:
    """The step into the layer that gives the value, whoever else sees it."""
    call = push.value.producer
    step = None if call is None else producer.backward(graph, call, push)
    return [Refusal(Reason.NOT_LINEAR, "No linear layer gives the value.") if step is None else step]


def _into(user: Call, first: Push) -> Stepping:
    """Forward, its first step into one of the users alone."""
    return lambda graph, push: [_forward_one(graph, user, push)] if push is first else forward_step(graph, push)


def travel(graph: Graph, starts: Starts) -> Way | Refusal:
    """The way of several affines at once, each backward or forward, taken; or why one of them ends."""
    way = Way()
    for stepping, start in starts:
        way.directions.append("backward" if stepping in (backward_step, _into_producer) else "forward")
        pending, meeting = [] if start.affine.is_identity else [start], Meeting(graph)
        while pending or meeting:
            steps = meeting.steps(pending.pop(), start, stepping) if pending else meeting.release()
            for step in steps if len(way.steps) < LONGEST else [_too_long()]:
                if isinstance(step, Refusal):
                    return step
                way.steps.append(step)
                pending.extend(push for push in step.onward if not push.affine.is_identity)
    shared = None if graph.may_clone else _shared(graph, way)
    return shared or way.take() or way


class Meeting:
    """Where affines on their way forward may meet: at the calls that join several values.

    Such a call is asked once nothing else is on its way, with all that have arrived: ``s*x1 + s*x2 = s*(x1 + x2)``.

    Args:
        graph: The graph.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.arrived: dict[Call, list[Push]] = {}

    def __bool__(self) -> bool:
        return bool(self.arrived)

    def steps(self, push: Push, start: Push, stepping: Stepping) -> Iterable[Step | Refusal]:
        """The next steps of an affine; forward, those that join keep it until they are asked.

        Args:
            push: The affine.
            start: The first of its way.
            stepping: The way: forward, backward, or one with a first step of its own.
        """
        if stepping in (backward_step, _into_producer) or (stepping is not forward_step and push is start):
            return stepping(self.graph, push)
        joining = [user for user in self.graph.users(push.value) if joins(user)]
        if self.graph.is_output(push.value) or not joining:
            return forward_step(self.graph, push)
        for user in joining:
            self.arrived.setdefault(user, []).append(push)
        others = (user for user in self.graph.users(push.value) if user not in joining)
        return (_forward_one(self.graph, user, push) for user in others)

    def release(self) -> list[Step | Refusal]:
        """What the first call says of all that has arrived there: together, else one by one."""
        call = next(iter(self.arrived))
        if len(self.arrived) > 1:
            call = next(each for each in self.graph.in_order() if each in self.arrived)
        pushes = self.arrived.pop(call)
        together = join(call, pushes)
        return [together] if together is not None else [_forward_one(self.graph, call, push) for push in pushes]


def _shared(graph: Graph, way: Way) -> Refusal | None:
    for step in way.steps:
        if step.change is not None and sum(call.layer is step.call.layer for call in graph) > 1:
            return Refusal(Reason.SHARED, f"{_kind(step.call)} {step.call.layer.path!r} is called at several places.")
    return None


def backward_step(graph: Graph, push: Push) -> Iterable[Step | Refusal]:
    """One step to the call that gives the value."""
    call = push.value.producer
    if call is None or call.layer.kind == "InputLayer":
        return [Refusal(Reason.MODEL_INPUT, "There is no layer before it that could take it in.")]
    for rule in BACKWARD:
        step = rule(graph, call, push)
        if step is not None:
            if isinstance(step, Step) and graph.sole_user(push.value) is None:
                return [_several_uses(graph, call, push.value)]
            return [step]
    return [Refusal(Reason.NOT_LINEAR, f"{_kind(call)} {call.layer.path!r} takes no affine in.")]


def forward_step(graph: Graph, push: Push) -> Iterable[Step | Refusal]:
    """One step to every call that takes the value."""
    if graph.is_output(push.value):
        return [Refusal(Reason.MODEL_OUTPUT, "The model gives it, or what it would change, to its user.")]
    return (_forward_one(graph, user, push) for user in graph.users(push.value))


def _forward_one(graph: Graph, user: Call, push: Push) -> Step | Refusal:
    for rule in FORWARD:
        step = rule(graph, user, push)
        if step is not None:
            return step
    return Refusal(Reason.NOT_LINEAR, f"{_kind(user)} {user.layer.path!r} takes no affine in.")


def _kind(call: Call) -> str:
    return call.layer.kind or type(call.layer.source).__name__


def _several_uses(graph: Graph, call: Call, value: Value) -> Refusal:
    users = [f"{user.layer.path!r}" for user in graph.users(value)]
    users += ["the model's output"] if graph.is_output(value) else []
    return Refusal(Reason.SEVERAL_USES, f"The output of {call.layer.path!r} is used by {', '.join(users)}.")


def _too_long() -> Refusal:
    return Refusal(Reason.NOT_LINEAR, f"No layer that takes it in was found within {LONGEST} steps.")


def _no_way(back: Refusal, ahead: Refusal) -> Refusal:
    first = back.reason is Reason.MODEL_INPUT and ahead.reason is not Reason.NOT_LINEAR
    reason = ahead.reason if first else back.reason
    return Refusal(reason, f"Backward: {back.sentence} Forward: {ahead.sentence}")
