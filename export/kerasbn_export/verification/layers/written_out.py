"""A tensor in the middle of an activation is no layer's.

    hard_sigmoid(x) = min(max(x/6 + 1/2, 0), 1)

The converter writes such an activation out. Its 1/6 (0.2 in Keras 2) and its 1/2 go into the weights of
the layer before. The tensor that this layer then gives has the names of both. The next one with the activation's name
holds what the activation gives. The activation may be the layer's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kerasbn_export.algebra.linear import LINEAR
from kerasbn_export.graph.model import Call, Graph
from kerasbn_export.verification.layers.fit import KeptTensor

STRAIGHT = "hard_sigmoid"
"""The activation of Keras that is made of straight lines, with a slope other than 1."""


@dataclass(frozen=True)
class WrittenOut:
    """The tensors and the layers that this concerns.

    Attributes:
        tensors: Each by its `id`.
        layers: The paths of the layers before whose weights hold a part of an activation.
    """

    tensors: frozenset[int] = frozenset()
    layers: frozenset[str] = frozenset()


def written_out(graph: Graph, tensors: Sequence[KeptTensor]) -> WrittenOut:
    """What is in the middle of an activation.

    Args:
        graph: The reference.
        tensors: The candidate's, in the order they were computed.
    """
    found: list[tuple[KeptTensor, str]] = []
    for call in graph:
        before = _layer_before(call)
        own = [tensor for tensor in tensors if call.layer.path in tensor.layers] if before else []
        found += [(tensor, before) for tensor in own[:-1] if before is not None and before in tensor.layers]
    return WrittenOut(frozenset(id(tensor) for tensor, _ in found), frozenset(path for _, path in found))


def _layer_before(call: Call) -> str | None:
    """The path of the layer that gives an activation its input; its own where the activation is inside."""
    if call.layer.kind in LINEAR and call.layer.config.get("activation") == STRAIGHT:
        return str(call.layer.path)
    producer = call.inputs[0].producer if call.layer.kind == "Activation" and call.inputs else None
    return None if producer is None else str(producer.layer.path)
