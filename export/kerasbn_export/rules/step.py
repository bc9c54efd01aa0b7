"""What a rule is given, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kerasbn_export.affine import Affine
from kerasbn_export.graph import Call, Graph, Layer, Value
from kerasbn_export.verdict import Reason


@dataclass(frozen=True, eq=False)
class Push:
    """An affine on its way: on ``value``, along ``axes`` counted from the front."""

    value: Value
    affine: Affine
    axes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Step:
    """One step of the way.

    Attributes:
        rule: The name of the rule.
        call: The call that it concerns.
        layer: The layer that the call gets, where the affine goes into its weights.
        onward: What is left to be placed: affines on the inputs of the call.
    """

    rule: str
    call: Call
    layer: Layer | None = None
    onward: tuple[Push, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """Why an affine cannot go this way."""

    reason: Reason
    sentence: str


BackwardRule = Callable[[Graph, Call, Push], Step | Refusal | None]
"""From the call that gives ``push.value``; None where the rule does not concern that kind of call."""
