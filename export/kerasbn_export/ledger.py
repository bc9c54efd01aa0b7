"""Keeps account of every BatchNorm while a graph is rewritten, and writes the verdicts at the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from kerasbn_export.batchnorm import inner_batchnorms, is_batchnorm
from kerasbn_export.graph import Call, Graph
from kerasbn_export.rules.step import Refusal, Step
from kerasbn_export.verdict import Action, Reason, Verdict

OPS_PER_CALL = 2
"""A BatchNorm at inference is one MUL and one ADD."""


@dataclass
class Account:
    """What is known of one BatchNorm layer so far.

    Attributes:
        calls: How often it is called.
        into: The layers that took it in, over all its calls.
        rules: The rules used.
        merged: Whether it was composed with another BatchNorm.
        refusal: The last reason why one of its calls found no way.
    """

    calls: int = 0
    into: dict[str, None] = field(default_factory=dict)
    rules: dict[str, None] = field(default_factory=dict)
    merged: bool = False
    refusal: Refusal | None = None


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
        for name in self.origins[call]:
            self.accounts[name].refusal = refusal

    def placed(self, call: Call, steps: list[Step]) -> None:
        """The call found a way, by these steps."""
        origins = self.origins.pop(call)
        for name in origins:
            self.accounts[name].rules.update(dict.fromkeys(step.rule for step in steps))
        for step in steps:
            if step.layer is not None and step.call in self.origins:
                self._merged(origins, step.call)
            elif step.layer is not None:
                self._into(origins, step.layer.path)

    def verdicts(self) -> list[Verdict]:
        """One verdict for each BatchNorm, in the order of the model."""
        left = Counter(name for names in self.origins.values() for name in names)
        alone = Counter(names[0] for names in self.origins.values())
        return [self._verdict(name, account, left[name], alone[name]) for name, account in self.accounts.items()]

    def _merged(self, origins: tuple[str, ...], target: Call) -> None:
        self.origins[target] += origins
        for name in origins:
            self.accounts[name].merged = True

    def _into(self, origins: tuple[str, ...], path: str) -> None:
        for name in origins:
            self.accounts[name].into[path] = None

    def _closed(self, call: Call) -> None:
        for inner in inner_batchnorms(self.graph.flavour, call.layer.source):
            path = f"{call.layer.path}/{inner.name}"
            kind = type(call.layer.source).__name__
            sentence = f"It sits inside {kind} {call.layer.path!r}, which is kept closed."
            self.accounts[path] = Account(calls=1, refusal=Refusal(Reason.OPAQUE, sentence))

    def _verdict(self, name: str, account: Account, left: int, alone: int) -> Verdict:
        """``left``: its calls that are still there in some form; ``alone``: those that no other one leads."""
        closed = account.refusal is not None and account.refusal.reason is Reason.OPAQUE
        if closed or alone:
            action = Action.KEPT
        elif left:
            action = Action.MERGED
        else:
            action = Action.FOLDED
        gone = action is not Action.KEPT
        return Verdict(
            layer=name,
            action=action,
            direction="backward" if account.into else None,
            into=tuple(account.into),
            rules=tuple(account.rules),
            ops_before=OPS_PER_CALL * account.calls,
            ops_after=0 if gone else OPS_PER_CALL * (account.calls if closed else alone),
            reason=None if gone or account.refusal is None else account.refusal.reason,
            sentence="" if gone or account.refusal is None else account.refusal.sentence,
        )
