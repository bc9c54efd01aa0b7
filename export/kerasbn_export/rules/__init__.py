"""The rules that move an affine through a graph; each module is one rule, its docstring the equation.

A rule looks at one call and an affine on its output, and answers with a `Step` (the call takes the affine in, or
hands it on to its inputs) or with a `Refusal` that says why not. Rules change nothing: the steps of a whole way are
collected first and applied together, so that a way that ends in a refusal leaves no trace.
"""

from __future__ import annotations

from kerasbn_export.rules import compose, identity, producer
from kerasbn_export.rules.step import BackwardRule

BACKWARD: tuple[BackwardRule, ...] = (producer.backward, compose.backward, identity.backward)
"""In the order in which they are asked; the first that knows the call's kind answers."""

__all__ = ["BACKWARD"]
