"""The rules that move an affine through a graph; each module is one rule, its docstring the equation.

A rule looks at one call and an affine on its output (backward) or on its input (forward), and answers with a `Step`
(the call takes the affine in, or hands it on) or with a `Refusal` that says why not. Rules change nothing: the engine
takes the steps of a way, and takes them back where the way ends in a refusal.
"""

from __future__ import annotations

from kerasbn_export.folding.rules import (
    add,
    attention,
    compose,
    concatenate,
    consumer,
    embedding,
    homogeneous,
    identity,
    layout,
    moves,
    norms,
    positions,
    producer,
    recurrent,
    reduction,
    spatial,
    time_distributed,
)
from kerasbn_export.folding.rules.step import Rule

BACKWARD: tuple[Rule, ...] = (
    producer.backward,
    compose.backward,
    identity.backward,
    spatial.backward,
    layout.backward,
    moves.backward,
    reduction.backward,
    concatenate.backward,
    add.backward,
    homogeneous.backward,
    embedding.backward,
    norms.backward,
    attention.backward,
    time_distributed.backward,
)
"""In the order in which they are asked; the first that knows the call's kind answers."""

FORWARD: tuple[Rule, ...] = (
    positions.forward,
    consumer.forward,
    compose.forward,
    identity.forward,
    spatial.forward,
    layout.forward,
    moves.forward,
    reduction.forward,
    concatenate.forward,
    add.forward,
    homogeneous.forward,
    recurrent.forward,
    attention.forward,
    time_distributed.forward,
)
"""Likewise."""

__all__ = ["BACKWARD", "FORWARD"]
