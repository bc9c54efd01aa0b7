"""Which channels go: those that are constant wherever a layer mixes them with others, and that nobody sees.

Of the constants that meet zero padding one stays for each layer, and carries the others. Every value keeps one channel.
"""

from __future__ import annotations

import numpy as np

from kerasbn_export.graph.model import Layer
from kerasbn_export.slim.channels import Stay, Why
from kerasbn_export.slim.flow import State, Use, nonzero

CLOSE = 1 / 16
"""A channel that stays anyway carries the constants of others up to 16 times its own: kernels grow by no more."""


Carriers = dict[Layer, int]
"""Of each layer that pads zeros the place of the channel that carries the constants of those that go."""


def choose(state: State) -> Carriers:
    """Decide on every channel of the state."""
    for use in state.uses.values():
        _keep_variable(state, use)
    carriers = {use.layer: _carrier(state, use) for use in state.uses.values() if use.padded}
    for flow in state.flows.values():
        if flow.ids.size and not state.channels.stays(flow.ids).any():
            state.channels.keep(flow.ids[:1], Stay(Why.LAST, "It is the last channel of its value."))
    return {layer: place for layer, place in carriers.items() if place is not None}


def _keep_variable(state: State, use: Use) -> None:
    """A layer mixes the channel where it is not constant."""
    path = f"{use.layer.kind} {use.layer.path!r}"
    stay = Stay(Why.NOT_CONSTANT, f"{path} takes the channel where it is not constant.")
    for channel in use.ids[np.isnan(use.constants)].tolist():
        state.channels.keep([channel], state.lost.get(channel, stay))


def _carrier(state: State, use: Use) -> int | None:
    """The place of the channel that carries the constants of all that go; None if all of them are zero."""
    size = np.where(nonzero(use.constants), np.abs(use.constants), 0.0)
    stays = state.channels.stays(use.ids)
    if not np.any(size[~stays]):
        return None
    kept = np.where(stays, size, 0.0)
    place = int(np.argmax(kept if kept.max() >= CLOSE * size[~stays].max() else size))
    sentence = (
        f"It carries the constants of the others through the zero padding of {use.layer.kind} {use.layer.path!r}."
    )
    state.channels.keep([use.ids[place]], Stay(Why.CARRIER, sentence))
    return place
