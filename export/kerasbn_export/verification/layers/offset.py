"""The constant that a chain of linear layers adds, which a converter may move into the layers behind it.

For ``y = s*(W x + b) + t`` the tensor in a file may hold ``s*W x`` alone, and a layer ``V y + c`` behind it be computed
as ``V (s*W x) + c'`` with ``c' = c + V (s*b + t)``. The stock converter does so between two Dense layers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasbn_export.arrays import Array
from kerasbn_export.graph.batchnorm import is_batchnorm
from kerasbn_export.graph.model import Call, Value
from kerasbn_export.tflite.graph import LINEAR_OPS, TFLiteGraph
from kerasbn_export.verification.faults.folding import is_linear
from kerasbn_export.verification.layers.weights import held_by
from kerasbn_export.verification.network.network import Network

SHAPING = ("Reshape", "Flatten", "Dropout")
ATTENTION = ("MultiHeadAttention", "GroupedQueryAttention")
"""Layers that end in a linear one of their own, whose bias is `ENDING`."""
ENDING = "attention_output/bias"


def offset(network: Network, chain: Sequence[Call], values: dict[Value, Array]) -> Array | None:
    """``s*b + t`` at every element of one sample; None if the chain does not end a linear layer, or adds nothing.

    Args:
        network: The reference.
        chain: A call and those merged into it.
        values: What the first takes.
    """
    plain = all(is_batchnorm(call.layer) or call.layer.kind in SHAPING for call in chain[1:])
    added = _added(network, chain[0], values) if plain else None
    if added is None:
        return None
    known = {chain[0].output: added}
    for call in chain[1:]:
        known.update(network.evaluate(call, known))
    added = known[chain[-1].output]
    return added if np.any(added) else None


def _added(network: Network, call: Call, values: dict[Value, Array]) -> Array | None:
    """What a layer adds to each element of one sample; None if it does not end in a linear layer."""
    layer = call.layer
    if is_linear(call) or (layer.kind == "EinsumDense" and layer.config.get("activation") in ("linear", None)):
        zeros = {value: np.zeros_like(values[value][:1]) for value in call.inputs}
        return network.evaluate(call, zeros)[call.output]
    if type(layer.source).__name__ not in ATTENTION or ENDING not in layer.weights:
        return None
    bias = np.asarray(layer.weights[ENDING], np.float64)
    added: Array = np.broadcast_to(bias, (1, *values[call.output].shape[1:])).copy()
    return added


def lacks_bias(graph: TFLiteGraph, index: int) -> bool:
    """Whether a linear operation without a bias, or with one of zeros, gives a tensor."""
    operation = graph.producers.get(graph.beyond(index)[0])
    if operation is None or operation.name not in LINEAR_OPS:
        return False
    held = held_by(graph, operation)
    return held is not None and (held.bias is None or not np.any(held.bias.values))


def adds_constant(graph: TFLiteGraph, index: int) -> bool:
    """Whether nothing is done with a tensor but to add a constant: its bias."""
    users = graph.users(index)
    while len(users) == 1 and users[0].name == "QUANTIZE":
        users = graph.users(users[0].outputs[0])
    return bool(users) and all(
        user.name == "ADD" and any(graph.tensors[i].constant for i in user.inputs) for user in users
    )
