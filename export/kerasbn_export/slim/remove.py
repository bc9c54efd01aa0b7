"""The whole: a model in, a smaller model with the same outputs out."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasbn.arguments import NotNegative, checks_arguments
from kerasbn_export.capture import capture
from kerasbn_export.emit.emit import emit
from kerasbn_export.folding.rules.producer import checked
from kerasbn_export.folding.rules.step import Refusal
from kerasbn_export.graph.batchnorm import KINDS
from kerasbn_export.graph.model import Graph, Layer
from kerasbn_export.slim.account import records_of
from kerasbn_export.slim.channels import Stay, Why
from kerasbn_export.slim.choose import Carriers, choose
from kerasbn_export.slim.cut import Kept, silenced, taking_constants, without_channels
from kerasbn_export.slim.flow import State, Use
from kerasbn_export.slim.records import Slimmed, SlimResult
from kerasbn_export.slim.walk import walk
from kerasbn_export.slim.weighted import gammas_at_zero
from kerasbn_export.verification import verify


@checks_arguments
def remove_constant_channels(model: Any, threshold: NotNegative = 0) -> SlimResult:
    """Take the channels out of a model that are constant behind their BatchNorm, exactly.

    ``gamma_c = 0`` makes ``y_c = beta_c``, whatever the input. The channel goes with all that computes it, and its
    constant goes on, through activations and pooling, into the bias of the layer that takes it:
    ``b' = b + sum over c of W_c f(beta_c)``. Before zero padding one constant channel of each layer stays and carries
    the others. A channel that is seen elsewhere stays, and the record of its BatchNorm says why.

    Args:
        model: A model of Keras 3 or tf_keras. It is not changed.
        threshold: A gamma of at most this size is taken for zero. Above 0 the result is not exact; `SlimResult` has the
            difference, measured on random samples. It is for gammas that an L1 penalty has driven near zero.

    Raises:
        UnsupportedModelError: The model cannot be read as a graph of layers.
        InvalidModelError: A BatchNorm holds numbers that mean nothing.
        InvalidArgumentError: The threshold is negative or not finite.
    """
    graph = capture(model)
    before = _parameters(graph)
    removed, exact = slim(graph, float(threshold))
    smaller = emit(graph)
    difference = None if exact else verify(model, smaller, layers=False).required_tolerance
    return SlimResult(smaller, removed, (before, _parameters(graph)), float(threshold), difference)


def slim(graph: Graph, threshold: float = 0.0) -> tuple[tuple[Slimmed, ...], bool]:
    """Take the constant channels out of a graph; the records, and whether all that went was constant.

    Args:
        graph: The graph; it is rewritten.
        threshold: See `remove_constant_channels`.
    """
    state = walk(graph, threshold)
    carriers = choose(state)
    while refused := [use for use in state.uses.values() if _overflows(state, use, carriers)]:
        for use in refused:
            sentence = f"The weights of {use.layer.kind} {use.layer.path!r} would not be finite."
            state.channels.keep(use.ids, Stay(Why.OVERFLOW, sentence))
        carriers = choose(state)
    records = tuple(records_of(state))
    trusted = _trusted(state, carriers)
    exact = not any(_is_small(state, layer, trusted).any() for layer in state.ends)
    _narrow(state, carriers, trusted)
    return records, exact


def _overflows(state: State, use: Use, carriers: Carriers) -> bool:
    if state.channels.stays(use.ids).all():
        return False
    return isinstance(checked(_smaller(state, use.layer, carriers)), Refusal)


def _trusted(state: State, carriers: Carriers) -> set[int]:
    """The roots of the channels that stay and carry the constants of others."""
    roots = [
        state.channels.roots(use.ids[[carriers[use.layer]]]) for use in state.uses.values() if use.layer in carriers
    ]
    return {int(root) for found in roots for root in found}


def _is_small(state: State, layer: Layer, trusted: set[int]) -> Kept:
    """Of a BatchNorm the channels that are taken for constant and are not: gone or trusted, with a small gamma."""
    ids = state.ends[layer][1]
    if layer.kind not in KINDS or "gamma" not in layer.weights:
        return np.zeros(ids.size, bool)
    small = gammas_at_zero(layer.weights, state.threshold) & (np.reshape(layer.weights["gamma"], -1) != 0)
    needed = ~state.channels.stays(ids) | np.isin(state.channels.roots(ids), list(trusted))
    found: Kept = small & needed
    return found


def _narrow(state: State, carriers: Carriers, trusted: set[int]) -> None:
    """Give every call its smaller layer, and every value its smaller shape."""
    smaller = {}
    for layer in state.ends:
        small = _is_small(state, layer, trusted)
        smaller[layer] = _smaller(state, layer, carriers, silenced(layer, small) if small.any() else layer)
    for call in state.graph:
        call.layer = smaller.get(call.layer, call.layer)
    for value, flow in state.flows.items():
        value.shape = (*(value.shape or ())[:-1], int(state.channels.stays(flow.ids).sum()))


def _smaller(state: State, layer: Layer, carriers: Carriers, version: Layer | None = None) -> Layer:
    """The layer with the channels that stay; itself where all do."""
    taken, given = (state.channels.stays(ids) for ids in state.ends[layer])
    use, changed = state.uses.get(layer), version or layer
    if taken.all() and given.all():
        return changed
    if use is not None:
        changed = taking_constants(layer, taken, use.constants, carriers.get(layer), padded=use.padded)
    return without_channels(changed, taken, given)


def _parameters(graph: Graph) -> int:
    layers = dict.fromkeys(call.layer for call in graph if isinstance(call.layer, Layer))
    return sum(array.size for layer in layers for array in layer.weights.values())
