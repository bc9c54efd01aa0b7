"""Calls with a weight for each channel: linear layers mix channels, depthwise layers and BatchNorms do not.

    BatchNorm                gamma*(x - mean)/sigma + beta = beta where gamma = 0; else s*c + t of a constant
    depthwise                f(c*sum of taps + bias) of a constant, where no tap falls on zeros or c = 0
    linear                   takes the constant in: see `kerasbn_export.slim.cut`; what it gives is not constant
    zero padding, c != 0     one constant channel of the linear layer stays and carries the others: W_1 += W_c*(c/c_1)

Condition: channels last, no groups, the weights are those of the stock layer, and the activation inside computes each
element from itself alone. A transposed convolution and one behind zero padding sees a constant by another number of
taps at the border, and counts as padded.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kerasbn_export.algebra.affine import Float64
from kerasbn_export.algebra.linear import CONVOLUTIONS, DEPTHWISE, SEPARABLE, TRANSPOSED, Weights, kernel_name
from kerasbn_export.algebra.linear_input import input_channels, pads
from kerasbn_export.folding.rules.producer import has_no_activation
from kerasbn_export.folding.rules.step import stock_activation, takes_only
from kerasbn_export.graph.batchnorm import KINDS, affine, axes, is_training
from kerasbn_export.graph.model import Call
from kerasbn_export.slim.channels import Ids, Stay
from kerasbn_export.slim.cut import size_option
from kerasbn_export.slim.evaluate import activated
from kerasbn_export.slim.flow import Flow, State, no_way, nonzero, padding_of
from kerasbn_export.slim.passing import ELEMENTWISE, Handler


def normalised(state: State, call: Call) -> Flow | Stay:
    """BatchNorm: where constants begin."""
    flow, layer = state.flows[call.inputs[0]], call.layer
    rank = call.inputs[0].rank or 0
    if is_training(call):
        return no_way(call, "is called with training=True")
    if axes(layer, rank) != (rank - 1,):
        return no_way(call, "normalises an axis that is not the last")
    if any(array.shape not in ((), (flow.ids.size,)) for array in layer.weights.values()):
        return no_way(call, "has weights that are not one number for each channel")
    state.shared(layer, flow.ids, flow.ids)
    scaled, silent = affine(layer), gammas_at_zero(layer.weights, state.threshold)
    beta = np.asarray(layer.weights.get("beta", np.zeros(flow.ids.size)), np.float64)
    passed = state.inside(flow, call).constants
    constants = np.where(silent, beta, scaled.scale * passed + scaled.shift)
    return Flow(flow.ids, constants)


def gammas_at_zero(weights: Weights, threshold: float) -> npt.NDArray[np.bool_]:
    """Which channels of a BatchNorm have a gamma that is zero, or at most the threshold."""
    gamma = np.asarray(weights.get("gamma", np.ones(weights["moving_mean"].size))).reshape(-1)
    found: npt.NDArray[np.bool_] = np.abs(gamma) <= gamma.dtype.type(threshold)  # 0.1 in float32 is above 0.1
    return found


def linear(state: State, call: Call) -> Flow | Stay:
    """Dense, convolutions, transposed and separable ones."""
    value, layer, flow = call.inputs[0], call.layer, state.flows[call.inputs[0]]
    kind = str(layer.kind)
    refusal = _refusal(call, flow.ids)
    if refusal is not None:
        return refusal
    padded = kind in TRANSPOSED or flow.bordered or pads(layer.config, value.shape or ())
    if padded and kind in SEPARABLE:
        flow = Flow(flow.ids, state.lose(flow, nonzero(flow.constants), padding_of(call)))
    state.use(call, flow, padded=padded)
    given = state.channels.new((call.output.shape or (0,))[-1] or 0)
    state.shared(layer, flow.ids, given)
    if not _apart(state, call):
        state.channels.keep(given, no_way(call, "has an activation that may mix channels"))
    return Flow(given, np.full(given.size, np.nan))


def depthwise(state: State, call: Call) -> Flow | Stay:
    """Depthwise convolutions: channel ``in*multiplier + m`` comes from one channel."""
    layer, flow = call.layer, state.flows[call.inputs[0]]
    refusal = _refusal(call, flow.ids)
    if refusal is not None:
        return refusal
    kernel = layer.weights[kernel_name(layer.kind, layer.weights) or ""].astype(np.float64)
    ids = np.repeat(flow.ids, kernel.shape[-1])
    state.shared(layer, flow.ids, ids)
    if not _apart(state, call):
        return no_way(call, "has an activation that may mix channels")
    constants = flow.constants
    if flow.bordered or pads(layer.config, call.inputs[0].shape or ()):
        constants = state.lose(flow, nonzero(constants), padding_of(call))
    return Flow(ids, _filtered(state, call, kernel, constants))


def _filtered(state: State, call: Call, kernel: Float64, constants: Float64) -> Float64:
    """``f(c*sum of taps + bias)``."""
    taps = kernel.sum(axis=tuple(range(kernel.ndim - 2)))
    before = (taps * constants[:, None]).reshape(-1) + np.asarray(call.layer.weights.get("bias", 0.0), np.float64)
    name = None if np.all(np.isnan(before)) else stock_activation(call.layer)
    return activated(state.graph.flavour, name or "linear", before)


def embedded(state: State, call: Call) -> Flow | Stay:
    """Embedding: its table has a column for each channel."""
    layer = call.layer
    if set(layer.weights) != {"embeddings"}:
        return no_way(call, "has other weights than its table")
    given = state.channels.new(layer.weights["embeddings"].shape[-1])
    state.shared(layer, given[:0], given)
    return Flow(given, np.full(given.size, np.nan))


def _refusal(call: Call, taken: Ids) -> Stay | None:
    layer = call.layer
    if layer.config.get("data_format") == "channels_first":
        return no_way(call, "has data_format='channels_first'")
    if layer.config.get("groups", 1) != 1:
        return no_way(call, "has groups")
    if kernel_name(layer.kind, layer.weights) is None or not takes_only(call, call.inputs[0]):
        return no_way(call, "has other weights or inputs than the stock layer")
    if layer.kind not in DEPTHWISE and size_option(str(layer.kind)) not in layer.config:
        return no_way(call, "has no option for the number of its channels")
    fits = input_channels(str(layer.kind), layer.config, layer.weights) == taken.size
    return None if fits else no_way(call, "takes other axes than the channels")


def _apart(state: State, call: Call) -> bool:
    """Whether the activation inside computes each element from itself alone."""
    return has_no_activation(state.graph, call.layer) or stock_activation(call.layer) in ELEMENTWISE


WEIGHTED: dict[str, Handler] = {
    **dict.fromkeys(KINDS, normalised),
    **dict.fromkeys(("Dense", *CONVOLUTIONS, *TRANSPOSED, *SEPARABLE), linear),
    **dict.fromkeys(DEPTHWISE, depthwise),
}
