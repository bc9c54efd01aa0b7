"""In which mode a call runs: what the user's own words say, of the call or of the model around it.

A graph is what ``model.predict`` computes. There, a layer whose ``call`` has ``training=True`` as its default, as every
augmentation has, is in inference, and so is what comes after it. Keras 3 writes that default into its graph as if the
user had given it, and ``model(x)`` hands it on to every layer behind: neither is what the user said.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from kerasbn.flavour import KERAS, Flavour, layers_inside
from kerasbn_export.capture.symbolic import Event
from kerasbn_export.graph.model import Call


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


def in_words(flavour: Flavour, event: Event) -> Event:
    """The event without the flag that Keras 3 wrote down for it: the default of the layer's ``call``."""
    if flavour.name == "keras" and argument(event, "training") is True and trains_by_default(event.layer):
        return replace(event, kwargs={name: value for name, value in event.kwargs.items() if name != "training"})
    return event


def in_inference(flavour: Flavour, event: Event) -> Event:
    """The event with the flag False where it has none and its layer would train without one."""
    return in_context(flavour, event, False, replays=False) if trains_by_default(event.layer) else event


def trains_by_default(layer: Any) -> bool:
    """Whether the ``call`` of a layer has ``training=True`` as its default."""
    parameters = _parameters(layer)
    return "training" in parameters and parameters["training"].default is True


def without_context(calls: Iterable[Call]) -> None:
    """Give every call that has no flag the flag False where one has True: Keras 3 would hand it that of another."""
    calls = list(calls)
    if not any(argument(Event(call.layer.source, call.args, call.kwargs, []), "training") is True for call in calls):
        return
    for call in calls:
        event = Event(call.layer.source, call.args, call.kwargs, [])
        bound = in_context(KERAS, event, training=False, replays=False)
        call.args, call.kwargs = bound.args, bound.kwargs


def has_layers_inside(layer: Any) -> bool:
    """Whether a layer holds other layers."""
    return bool(layers_inside(layer))


def _position(layer: Any, name: str) -> int | None:
    parameters = list(_parameters(layer))
    return parameters.index(name) if name in parameters else None


def _parameters(layer: Any) -> Mapping[str, inspect.Parameter]:
    call = getattr(layer, "call", None)
    return {} if call is None else inspect.signature(call).parameters
