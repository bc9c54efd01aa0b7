"""Calls that keep channels apart: each output channel comes from its own input channels alone.

    f(c)                          activations and other elementwise layers
    c                             pooling, upsampling, cropping, dropout, reshapes that keep the last axis
    c1 + c2, c1*c2, max(c1, c2)   joins, where all branches are constant; a product where one is zero
    c at every position           Flatten
    c, but 0 at the border        zero padding

Condition: data format channels last; the channel axis stays the last, or is flattened with sizes that are known; no
layer is called in training mode; averages are over true elements only, as TensorFlow's are. A branch that is
multiplied by zero is finite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

import numpy as np

from kerasbn_export.algebra.affine import Float64
from kerasbn_export.folding.rules import add, identity, spatial
from kerasbn_export.folding.rules.step import in_training, stock_activation, takes_only
from kerasbn_export.graph.model import Call, Value
from kerasbn_export.graph.structure import leaves
from kerasbn_export.slim.channels import Stay, Why
from kerasbn_export.slim.evaluate import evaluate
from kerasbn_export.slim.flow import Flow, State, name_of, no_way

Handler = Callable[[State, Call], Flow | Stay]
"""What a call gives, or why no channel can be taken through it."""

ELEMENTWISE = (
    *("elu", "exponential", "gelu", "hard_sigmoid", "hard_silu", "hard_swish", "leaky_relu", "linear", "mish", "relu"),
    *("relu6", "selu", "sigmoid", "silu", "softplus", "softsign", "swish", "tanh"),
)
"""Activations that compute each element from itself alone."""
OPERATIONS = tuple(f"op.{name}" for name in (*ELEMENTWISE, "abs", "exp", "negative", "square"))
ARITHMETIC = ("op.add", "op.subtract", "op.multiply", "op.divide")
MAXIMA, MINIMA = ("Maximum", "op.maximum"), ("Minimum", "op.minimum")
JOINS = (*add.SUMS, *add.DIFFERENCES, *add.AVERAGES, *add.PRODUCTS, *MAXIMA, *MINIMA)


def elementwise(state: State, call: Call) -> Flow | Stay:
    """``f(c)``; in a border of zeros it stays a constant beside zeros where ``f(0) = 0``."""
    flow = state.flows[call.inputs[0]]
    if len(call.inputs) > 1 or not takes_only(call, call.inputs[0]):
        return no_way(call, "takes more than one value")
    if call.layer.kind == "Activation" and stock_activation(call.layer) not in ELEMENTWISE:
        return no_way(call, "has an activation that may mix channels")
    if call.layer.kind == "PReLU":
        if call.layer.weights["alpha"].size != flow.ids.size:
            return no_way(call, "has a slope for each position")
        state.shared(call.layer, flow.ids, flow.ids)
    flavour = state.graph.flavour
    if flow.bordered and np.any(evaluate(flavour, call, np.zeros_like(flow.constants)) != 0):
        flow = state.inside(flow, call)
    if np.all(np.isnan(flow.constants)):
        return flow
    return replace(flow, constants=evaluate(flavour, call, flow.constants))


def arithmetic(state: State, call: Call) -> Flow | Stay:
    """A number added to every element, or multiplied by it."""
    numbers = [leaf for leaf in leaves([call.args, call.kwargs]) if not isinstance(leaf, (Value, str, type(None)))]
    if any(np.size(number) != 1 for number in numbers):
        return no_way(call, "has a number for each channel")
    flow = state.inside(state.flows[call.inputs[0]], call)
    if np.all(np.isnan(flow.constants)):
        return flow
    return replace(flow, constants=evaluate(state.graph.flavour, call, flow.constants))


def rescaling(state: State, call: Call) -> Flow | Stay:
    """``scale*c + offset`` with two numbers."""
    if any(np.size(call.layer.config[key]) != 1 for key in ("scale", "offset")):
        return no_way(call, "has a number for each channel")
    return elementwise(state, call)


def inert(state: State, call: Call) -> Flow | Stay:
    """What does nothing at inference."""
    return no_way(call, "is called in training mode") if in_training(call) else state.flows[call.inputs[0]]


def positions(state: State, call: Call) -> Flow | Stay:
    """Pooling, upsampling and cropping: a constant stays what it is."""
    value, config = call.inputs[0], call.layer.config
    if config.get("data_format") == "channels_first":
        return no_way(call, "has data_format='channels_first'")
    if config.get("pad_to_aspect_ratio") or config.get("interpolation", "nearest") not in spatial.INTERPOLATIONS:
        return no_way(call, "pads, or interpolates by weights of its own")
    flow = state.inside(state.flows[value], call)
    if value.masked or len(call.inputs) > 1:  # the average of no position at all is another number
        stay = Stay(Why.NOT_CONSTANT, f"{name_of(call)} leaves positions out by a mask.")
        return replace(flow, constants=state.lose(flow, ~np.isnan(flow.constants), stay))
    return flow


def padded(state: State, call: Call) -> Flow | Stay:
    """Zero padding."""
    if call.layer.config.get("data_format") == "channels_first":
        return no_way(call, "has data_format='channels_first'")
    return replace(state.flows[call.inputs[0]], bordered=True)


def reshaped(state: State, call: Call) -> Flow | Stay:
    """Flatten and Reshape."""
    value, flow = call.inputs[0], state.flows[call.inputs[0]]
    old, new = value.shape or (), call.output.shape or ()
    if call.layer.config.get("data_format") == "channels_first" and len(old) > 2:
        return no_way(call, "with channels_first transposes before it flattens")
    if old[-1] == new[-1] and len(new) > 1 and (len(old) == len(new) or call.layer.kind == "Reshape"):
        return _tied(state, call, flow, flow)
    if len(new) != 2 or None in old[1:]:
        return no_way(call, "moves the channels to other places")
    flow = state.inside(flow, call)
    times = prod(size or 0 for size in old[1:-1])
    return _tied(state, call, flow, Flow(np.tile(flow.ids, times), np.tile(flow.constants, times)))


def _tied(state: State, call: Call, flow: Flow, given: Flow) -> Flow:
    """A Reshape names the number of channels: all its calls lose the same."""
    if call.layer.kind == "Reshape":
        state.shared(call.layer, flow.ids, given.ids)
    return given


def permuted(state: State, call: Call) -> Flow | Stay:
    """Permute, where the last axis stays the last."""
    dims = tuple(call.layer.config["dims"])
    return state.flows[call.inputs[0]] if dims[-1] == len(dims) else no_way(call, "moves the channel axis")


def repeated(state: State, call: Call) -> Flow | Stay:
    """RepeatVector."""
    return state.flows[call.inputs[0]]


def concatenated(state: State, call: Call) -> Flow | Stay:
    """Side by side along the channel axis; along another one a channel is constant where all agree on its constant."""
    flows, rank = [state.inside(state.flows[value], call) for value in call.inputs], call.output.rank
    if rank is None or any(value.rank != rank for value in call.inputs):
        return no_way(call, "joins values of a rank that is not known")
    if int(call.layer.config["axis"]) % rank == rank - 1:
        return Flow(np.concatenate([flow.ids for flow in flows]), np.concatenate([flow.constants for flow in flows]))
    stacked = np.stack([flow.constants for flow in flows])
    return _joined(state, call, flows, np.where(np.all(stacked == stacked[0], axis=0), stacked[0], np.nan))


def joined(state: State, call: Call) -> Flow | Stay:
    """Sums, differences, averages, products, maxima and minima of branches with the same channels."""
    if any(isinstance(leaf, np.ndarray) for leaf in leaves([call.args, call.kwargs])):
        return no_way(call, "has a number for each channel")
    flows = [state.inside(state.flows[value], call) for value in call.inputs]
    same = {(value.rank, state.flows[value].ids.size) for value in call.inputs}
    if len(same) != 1:
        return no_way(call, "repeats a branch along the channel axis")
    return _joined(state, call, flows, _combined(str(call.layer.kind), np.stack([flow.constants for flow in flows])))


def _combined(kind: str, constants: Float64) -> Float64:
    if kind in add.DIFFERENCES:
        found = constants[0] - constants[1]
    elif kind in add.AVERAGES:
        found = constants.mean(axis=0)
    elif kind in add.PRODUCTS:
        found = np.where(np.any(constants == 0, axis=0), 0.0, constants.prod(axis=0))
    elif kind in MAXIMA or kind in MINIMA:
        found = constants.max(axis=0) if kind in MAXIMA else constants.min(axis=0)
    else:
        found = constants.sum(axis=0)
    return np.asarray(found, np.float64)


def _joined(state: State, call: Call, flows: list[Flow], constants: Float64) -> Flow:
    stay = Stay(Why.NOT_CONSTANT, f"{name_of(call)} joins it with a branch that is not constant there.")
    for flow in flows:
        state.channels.tie(flows[0].ids, flow.ids)
        state.lose(flow, ~np.isnan(flow.constants) & np.isnan(constants), stay)
    return Flow(flows[0].ids, constants)


PASSING: dict[str, Handler] = {
    **dict.fromkeys(("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "ThresholdedReLU", *OPERATIONS), elementwise),
    **dict.fromkeys(identity.KINDS, inert),
    **dict.fromkeys((*spatial.AVERAGES, *spatial.MAXIMA, *spatial.SELECTIONS), positions),
    **dict.fromkeys(spatial.PADDINGS, padded),
    **dict.fromkeys(("Flatten", "Reshape"), reshaped),
    "Permute": permuted,
    "RepeatVector": repeated,
    "Rescaling": rescaling,
    "Concatenate": concatenated,
}
