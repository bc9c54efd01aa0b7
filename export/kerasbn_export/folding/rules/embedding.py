"""Rule 11, first part: an affine after an Embedding goes into the table.

    s*E[i] + t = (s*E + t)[i]

Condition: the affine runs along the last axis, the channels of the table.
"""

from __future__ import annotations

import numpy as np

from kerasbn_export.folding.rules.producer import checked
from kerasbn_export.folding.rules.step import Push, Refusal, Step, runs_along_last
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph.model import Call, Graph, Layer


def backward(graph: Graph, call: Call, push: Push) -> Step | Refusal | None:
    """Into the table."""
    del graph
    layer = call.layer
    if layer.kind != "Embedding" or set(layer.weights) != {"embeddings"}:
        return None
    if not runs_along_last(push):
        return Refusal(Reason.AXIS, f"The affine does not run along the channels of Embedding {layer.path!r}.")

    def change(layer: Layer) -> Layer | Refusal:
        table = layer.weights["embeddings"].astype(np.float64)
        return checked(layer.with_weights({"embeddings": table * push.affine.scale + push.affine.shift}))

    return Step("embedding", call, change)
