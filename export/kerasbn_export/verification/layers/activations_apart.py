"""A softmax or sigmoid inside a linear layer as a layer of its own, as a quantized file has it.

Its grid is the same whatever it gives: in int8 all numbers below 1/512 are 0. So what the layer multiplied and added is
judged by its own tensor, and the activation by its grid.
"""

from __future__ import annotations

from dataclasses import replace

from kerasbn_export.algebra.linear import LINEAR
from kerasbn_export.graph.model import Graph, new_layer
from kerasbn_export.verification.network.network import FLATTENING


def with_activations_apart(graph: Graph) -> Graph:
    """The graph given, changed.

    Args:
        graph: Nobody else's.
    """
    for call in graph.in_order():
        layer, activation = call.layer, call.layer.config.get("activation")
        if layer.kind in LINEAR and activation in FLATTENING and len(call.outputs) == 1:
            call.layer = layer.with_weights(layer.weights, activation="linear")
            named = new_layer("Activation", layer.name, {"activation": activation})
            graph.insert_after(call.output, replace(named, path=f"{layer.path}/{activation}"))
    return graph
