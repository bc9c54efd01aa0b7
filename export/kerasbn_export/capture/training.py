"""In which mode a call runs: its own ``training`` argument, or that of the model around it."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

from kerasbn.flavour import Flavour
from kerasbn_export.capture.symbolic import Event


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


def has_layers_inside(layer: Any) -> bool:
    """Whether a layer holds other layers."""
    flatten = getattr(layer, "_flatten_layers", None)
    return flatten is not None and any(True for _ in flatten(include_self=False, recursive=True))


def _position(layer: Any, name: str) -> int | None:
    call = getattr(layer, "call", None)
    parameters = list(inspect.signature(call).parameters) if call is not None else []
    return parameters.index(name) if name in parameters else None
