"""What became of each BatchNorm of a graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from kerasbn_export.graph.batchnorm import inner_batchnorms, is_batchnorm
from kerasbn_export.graph.model import Call, Layer
from kerasbn_export.slim.channels import Stay, Why
from kerasbn_export.slim.flow import State, name_of
from kerasbn_export.slim.records import Slimmed
from kerasbn_export.slim.weighted import gammas_at_zero


def records_of(state: State) -> Iterator[Slimmed]:
    """One record for each BatchNorm layer, also for those inside of layers that are kept closed."""
    calls: dict[Layer, Call] = {}
    for call in state.graph.in_order():
        calls.setdefault(call.layer, call)
    for call in calls.values():
        if is_batchnorm(call.layer):
            yield _record(state, call)
        else:
            yield from _closed(state, call)


def _record(state: State, call: Call) -> Slimmed:
    layer = call.layer
    silent = gammas_at_zero(layer.weights, state.threshold)
    if layer not in state.ends:
        return _unfollowed(state, call, layer.path, silent)
    ids = state.ends[layer][1]
    stays = Counter(filter(None, (state.channels.stay(channel) for channel in ids[silent].tolist())))
    removed = int((~state.channels.stays(ids)).sum())
    return Slimmed(layer.path, ids.size, int(silent.sum()), removed, tuple(stays.items()))


def _closed(state: State, call: Call) -> Iterator[Slimmed]:
    for inner in inner_batchnorms(state.graph.flavour, call.layer.source):
        weights = {"moving_mean": np.asarray(inner.moving_mean)}
        weights |= {} if inner.gamma is None else {"gamma": np.asarray(inner.gamma)}
        silent = gammas_at_zero(weights, state.threshold)
        yield _unfollowed(state, call, f"{call.layer.path}/{inner.name}", silent)


def _unfollowed(state: State, call: Call, path: str, silent: npt.NDArray[np.bool_]) -> Slimmed:
    """A BatchNorm whose channels cannot be followed."""
    found = [state.channels.stay(int(flow.ids[0])) for flow in map(state.flows.get, call.outputs) if flow is not None]
    stay = next(filter(None, found), Stay(Why.NO_WAY, f"{name_of(call)} cannot lose a channel."))
    count = int(silent.sum())
    return Slimmed(path, silent.size, count, 0, ((stay, count),) if count else ())
