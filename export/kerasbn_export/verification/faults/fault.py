"""What a fault is: a name, what people do, and a function that does it to the graph of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kerasbn_export.graph.model import Graph
from kerasbn_export.verification.faults.folding import Affine, Site, Statistics, Weights, affine, fold, sites, weights

Damage = Callable[[Graph], frozenset[str] | None]
"""Converts a captured model with one fault, in place; gives the layers to blame, None if there is no place for it."""

AffineRule = Callable[[Statistics], Affine]
WeightRule = Callable[[Site, Affine], Weights | None]


@dataclass(frozen=True)
class Fault:
    """A way in which conversions go wrong.

    Attributes:
        name: Its name, for tables.
        text: What is done wrong, in words.
        damage: The function that does it.
        rule: The weights it gives instead of the right ones, where it is a matter of one fold; to find out from
            weights which fault made them.
    """

    name: str
    text: str
    damage: Damage
    rule: WeightRule | None = None


def of_weights(rule: WeightRule) -> Fault:
    """A fault in the weights that a fold gives; its name and text are the function's."""
    return Fault(_name(rule), _text(rule), lambda graph: _fold_all(graph, rule), rule)


def of_affine(rule: AffineRule) -> Fault:
    """A fault in the scale and shift of a BatchNorm; its name and text are the function's."""

    def weight_rule(site: Site, right: Affine) -> Weights:  # noqa: ARG001 (the right scale and shift are not used)
        return weights(site, *rule(site.statistics))

    return Fault(_name(rule), _text(rule), lambda graph: _fold_all(graph, weight_rule), weight_rule)


def of_graph(damage: Damage) -> Fault:
    """A fault in the structure of a model, all else being folded correctly."""

    def all_else_folded(graph: Graph) -> frozenset[str] | None:
        blamed = damage(graph)
        if blamed is not None:
            convert(graph)
        return blamed

    return Fault(_name(damage), _text(damage), all_else_folded)


def convert(graph: Graph) -> None:
    """The conversion without a fault: every BatchNorm behind a linear layer is folded into it."""
    for site in sites(graph):
        fold(site)


def _fold_all(graph: Graph, rule: WeightRule) -> frozenset[str] | None:
    """Fold wrongly in the middle one of the places where the rule changes anything, correctly elsewhere."""
    found = [(site, _wrong_weights(site, rule)) for site in sites(graph)]
    places = [site for site, wrong in found if wrong is not None]
    if not places:
        return None
    chosen = places[len(places) // 2]
    for site, wrong in found:
        if site is chosen and wrong is not None:
            site.replace(*wrong)
        else:
            fold(site)
    return chosen.blamed


def _wrong_weights(site: Site, rule: WeightRule) -> Weights | None:
    right = affine(site.statistics)
    wrong = rule(site, right)
    if wrong is None:
        return None
    pairs = zip(wrong, weights(site, *right), strict=True)
    return wrong if any(not np.allclose(a, b, rtol=1e-4, atol=1e-12) for a, b in pairs) else None


def _name(function: Callable[..., object]) -> str:
    return function.__name__.replace("_", " ")


def _text(function: Callable[..., object]) -> str:
    return (function.__doc__ or "").strip().replace("``", "")
