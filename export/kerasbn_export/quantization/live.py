"""BatchNorms that stay alive behind a quantized kernel: ``bn="live"``.

With one symmetric range for each output channel ``Q(s*W) = s*Q(W)``: what such a BatchNorm will be folded into may be
quantized before it. So a BatchNorm whose verdict is "into the layer directly before" can stay and learn, and is folded
at the export without any loss.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kerasbn.quantized.kernels import LINEAR
from kerasbn_export.capture import capture
from kerasbn_export.folding.fold import plan
from kerasbn_export.folding.verdict import Action
from kerasbn_export.graph.batchnorm import is_batchnorm
from kerasbn_export.graph.model import Graph

HIDDEN = "live BatchNorm"
"""The kind that no rule of folding knows."""


def live_batchnorms(model: Any, precision: str, *, per_channel_dense: bool = True) -> frozenset[str]:
    """The paths of the BatchNorms that can stay: folded backward into the one layer right before them.

    Args:
        model: A model of either Keras.
        precision: Of the file.
        per_channel_dense: Whether a Dense has a scale for each channel; behind one scale no BatchNorm can stay.
    """
    into = {
        verdict.layer: verdict.into
        for verdict in plan(model, precision=precision).verdicts
        if verdict.action is Action.FOLDED and verdict.direction == "backward"
    }
    graph = capture(model)
    return frozenset(
        call.layer.path
        for call in graph.in_order()
        if is_batchnorm(call.layer)
        and (before := call.inputs[0].producer) is not None
        and into.get(call.layer.path) == (before.layer.path,)
        and before.layer.kind in LINEAR
        and (per_channel_dense or before.layer.kind != "Dense")
        and before.layer.config["activation"] == "linear"
        and graph.sole_user(call.inputs[0]) is call
        and sum(other.layer is call.layer for other in graph) == 1
        and sum(other.layer is before.layer for other in graph) == 1
    )


def hidden(graph: Graph, live: frozenset[str]) -> None:
    """Let folding pass them by."""
    for call in graph:
        if call.layer.path in live:
            call.layer = replace(call.layer, kind=HIDDEN)


def shown(graph: Graph, live: frozenset[str]) -> None:
    """What `hidden` did, undone."""
    for call in graph:
        if call.layer.path in live:
            call.layer = replace(call.layer, kind="BatchNormalization")
