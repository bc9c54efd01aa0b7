"""In which mode a call runs: its own ``training`` argument, or that of the model around it.

Keras 3 also hands the argument of one layer on to every layer that is called after it, until one has another: behind a
Dropout called with ``training=True`` every BatchNorm normalises with the statistics of the batch.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from kerasbn.flavour import KERAS, Flavour
from kerasbn_export.capture.symbolic import Event
from kerasbn_export.graph import Call


def argument(event: Event, name: str) -> Any:
    """The argument of a call, given by position or by name; None if it was not given."""
    if name in event.kwargs:
        return event.kwargs[name]
    position = _position(event.layer, name)
    return event.args[position] if position is not None and position < len(event.args) else None


def in_context(flavour: Flavour, event: Event, training: bool | None, replays: bool) -> Event:
    """The event as it runs in a model that is itself called with ``training``.

    Where a layer was given no flag of its own, it takes that of the model around it. Where Keras 3 itself replays the
    calls of a nested model, the model's flag takes the place of theirs; tf_keras leaves them theirs.
    """
    overrides = replays and flavour.name == "keras"
    position = _position(event.layer, "training")
    if training is None or position is None or not (overrides or argument(event, "training") is None):
        return event
    if position < len(event.args):
        return replace(event, args=(*event.args[:position], training, *event.args[position + 1 :]))
    return replace(event, kwargs={**event.kwargs, "training": training})


def without_context(calls: Iterable[Call]) -> None:
    """Give every call that has no flag the flag False: in another order Keras 3 would hand it that of another layer."""
    for call in calls:
        event = Event(call.layer.source, call.args, call.kwargs, [])
        bound = in_context(KERAS, event, training=False, replays=False)
        call.args, call.kwargs = bound.args, bound.kwargs


def has_layers_inside(layer: Any) -> bool:
    """Whether a layer holds other layers."""
    flatten = getattr(layer, "_flatten_layers", None)
    return flatten is not None and any(True for _ in flatten(include_self=False, recursive=True))


def _position(layer: Any, name: str) -> int | None:
    call = getattr(layer, "call", None)
    parameters = list(inspect.signature(call).parameters) if call is not None else []
    return parameters.index(name) if name in parameters else None
