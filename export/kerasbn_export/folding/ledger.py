"""Keeps account of every BatchNorm while a graph is rewritten, and writes the verdicts at the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from kerasbn_export.folding.route import Way
from kerasbn_export.folding.rules.step import Merge, Refusal
from kerasbn_export.folding.verdict import Action, Reason, Verdict
from kerasbn_export.graph.batchnorm import inner_batchnorms, is_batchnorm, is_subclass_of_batchnorm
from kerasbn_export.graph.model import Call, Graph, Layer

OPS_PER_CALL = 2
"""A BatchNorm at inference is one MUL and one ADD."""


@dataclass
class Account:
    """What is known of one BatchNorm layer so far.

    Attributes:
        calls: How often it is called.
        into: The layers that took it in, over all its calls.
        rules: The rules used.
        directions: The directions in which it went.
        static_shape: Whether a rule relied on the shapes that the graph says.
        refusal: The last reason why one of its calls found no way.
        forms: For each of its calls that was lowered, the form.
        note: What to know of a fold that is exact all the same.
    """

    calls: int = 0
    into: dict[str, None] = field(default_factory=dict)
    rules: dict[str, None] = field(default_factory=dict)
    directions: dict[str, None] = field(default_factory=dict)
    static_shape: bool = False
    refusal: Refusal | None = None
    forms: list[str] = field(default_factory=list)
    note: str = ""

    @property
    def direction(self) -> str | None:
        """``"backward"``, ``"forward"``, ``"both"`` or None."""
        return "both" if len(self.directions) > 1 else next(iter(self.directions), None)


class Ledger:
    """One `Account` for each BatchNorm of a graph.

    Args:
        graph: The graph before it is rewritten.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.accounts: dict[str, Account] = {}
        self.origins: dict[Call, tuple[str, ...]] = {}
        for call in graph.in_order():
            if is_batchnorm(call.layer):
                self.accounts.setdefault(call.layer.path, Account()).calls += 1
                self.origins[call] = (call.layer.path,)
            else:
                self._closed(call)

    def refused(self, call: Call, refusal: Refusal) -> None:
        """The call found no way."""
        for name in self.origins.get(call, ()):
            self.accounts[name].refusal = refusal

    def placed(self, call: Call, way: Way) -> None:
        """The call found a way, by these steps."""
        self._travelled(self.origins.pop(call, ()), way)

    def divided(self, call: Call, rule: str, way: Way) -> None:
        """A part of the call found a way; what is left of it looks for another."""
        origins = self.origins.get(call, ())
        for name in origins:
            self.accounts[name].rules[rule] = None
        self._travelled(origins, way)

    def absorbed(self, call: Call, rule: str, into: Layer) -> None:
        """One layer took the call in, by a rule that is no way."""
        for name in self.origins.pop(call, ()):
            account = self.accounts[name]
            account.rules[rule] = None
            account.into[into.path] = None
            account.directions["forward"] = None

    def lowered(self, call: Call, form: str, way: Way | None = None) -> None:
        """The call takes one operation from now on; ``way`` is that of the half that is gone."""
        origins = self.origins.get(call, ())
        for name in origins:
            self.accounts[name].rules[form] = None
        if origins:
            self.accounts[origins[0]].forms.append(form)
        if way is not None:
            self._travelled(origins, way)

    def merged(self, merge: Merge) -> None:
        """Several linear layers became one."""
        for call in merge.gone:
            for name in self.origins.pop(call, ()):
                account = self.accounts[name]
                account.rules[merge.rule] = None
                account.into[merge.into.path] = None
        for account in self.accounts.values():
            gone = {call.layer.path for call in merge.gone} | {merge.into.path}
            if gone & account.into.keys():
                account.rules[merge.rule] = None
                account.note = merge.note or account.note
                account.into = dict.fromkeys(merge.into.path if path in gone else path for path in account.into)

    def verdicts(self) -> list[Verdict]:
        """One verdict for each BatchNorm, in the order of the model."""
        left = Counter(name for names in self.origins.values() for name in names)
        leading = Counter(names[0] for names in self.origins.values())
        return [self._verdict(name, account, left[name], leading[name]) for name, account in self.accounts.items()]

    def _travelled(self, origins: tuple[str, ...], way: Way) -> None:
        for name in origins:
            account = self.accounts[name]
            account.rules.update(dict.fromkeys(step.rule for step in way.steps))
            account.directions.update(dict.fromkeys(way.directions))
            account.static_shape |= any(step.static_shape for step in way.steps)
            account.note = next((step.note for step in way.steps if step.note), account.note)
        for step in way.steps:
            if step.change is not None and step.call in self.origins:
                self.origins[step.call] = tuple(dict.fromkeys((*self.origins[step.call], *origins)))
            elif step.change is not None:
                for name in origins:
                    self.accounts[name].into[step.call.layer.path] = None

    def _closed(self, call: Call) -> None:
        if call.layer.kind is None and is_subclass_of_batchnorm(call.layer.source):
            sentence = f"Its class {type(call.layer.source).__name__} is derived from a BatchNorm and may do otherwise."
            self.accounts[call.layer.path] = Account(calls=1, refusal=Refusal(Reason.OPAQUE, sentence))
        for inner in inner_batchnorms(self.graph.flavour, call.layer.source):
            path = f"{call.layer.path}/{inner.name}"
            kind = type(call.layer.source).__name__
            sentence = f"It sits inside {kind} {call.layer.path!r}, which is kept closed."
            self.accounts[path] = Account(calls=1, refusal=Refusal(Reason.OPAQUE, sentence))

    def _verdict(self, name: str, account: Account, left: int, leading: int) -> Verdict:
        """``left``: its calls that are still there in some form; ``leading``: those that stand under its own name."""
        closed = account.refusal is not None and account.refusal.reason is Reason.OPAQUE
        stay = account.calls if closed else leading
        action = _action(left, stay, len(account.forms))
        refusal = account.refusal if stay else None
        return Verdict(
            layer=name,
            action=action,
            direction=account.direction,
            into=tuple(account.into),
            rules=tuple(account.rules),
            ops_before=OPS_PER_CALL * account.calls,
            ops_after=OPS_PER_CALL * stay - len(account.forms),
            reason=None if refusal is None else refusal.reason,
            sentence="" if refusal is None else refusal.sentence,
            static_shape=account.static_shape,
            note=account.note,
        )


def _action(left: int, stay: int, lowered: int) -> Action:
    if stay:
        return Action.LOWERED if lowered == stay else Action.KEPT
    return Action.MERGED if left else Action.FOLDED
