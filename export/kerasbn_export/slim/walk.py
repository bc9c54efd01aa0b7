"""One walk over a graph: which channels depend on which, and which of them are constant.

A call that is not known closes: what goes in has to stay, and so has what comes out.
"""

from __future__ import annotations

import numpy as np

from kerasbn_export.graph.model import Call, Graph, Value
from kerasbn_export.graph.structure import leaves
from kerasbn_export.slim.channels import Stay, Why
from kerasbn_export.slim.flow import Flow, State, no_way
from kerasbn_export.slim.passing import ARITHMETIC, JOINS, PASSING, Handler, arithmetic, joined
from kerasbn_export.slim.weighted import WEIGHTED, embedded


def walk(graph: Graph, threshold: float) -> State:
    """What is known of every channel once all calls were seen.

    Args:
        graph: The graph.
        threshold: A gamma of at most this size is taken for zero.
    """
    state = State(graph, threshold)
    for call in graph.in_order():
        _visit(state, call)
    for value in leaves(graph.outputs):
        if value in state.flows:
            given = Stay(Why.MODEL_OUTPUT, "The model gives the channel to its user.")
            state.channels.keep(state.flows[value].ids, given)
    return state


def _visit(state: State, call: Call) -> None:
    handler = _handler(state, call)
    found = handler(state, call) if handler else no_way(call, "cannot lose a channel")
    if isinstance(found, Flow):
        state.flows[call.output] = found
        return
    for value in call.inputs:
        if value in state.flows:
            state.channels.keep(state.flows[value].ids, found)
    for value in filter(_has_channels, call.outputs):
        ids = state.channels.new((value.shape or (0,))[-1] or 0)
        state.channels.keep(ids, found)
        state.flows[value] = Flow(ids, np.full(ids.size, np.nan))


def _handler(state: State, call: Call) -> Handler | None:
    kind = call.layer.kind or ""
    if len(call.outputs) != 1 or not _has_channels(call.output):
        return None
    if kind == "Embedding":
        return embedded
    if not call.inputs or any(value not in state.flows for value in call.inputs):
        return None
    if len(call.inputs) > 1 and kind in JOINS:
        return joined
    if kind in ARITHMETIC:
        return arithmetic if len(call.inputs) == 1 else None
    return {**PASSING, **WEIGHTED}.get(kind)


def _has_channels(value: Value) -> bool:
    return (
        bool(value.shape) and len(value.shape or ()) > 1 and "float" in value.dtype and bool((value.shape or (0,))[-1])
    )
