"""Layers around a layer: which of them are the layer inside at inference, and which can be looked into."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kerasbn.flavour import Flavour
from kerasbn_export.capture.binding import is_masked
from kerasbn_export.capture.symbolic import Event, Symbolic
from kerasbn_export.capture.training import argument
from kerasbn_export.graph.batchnorm import inner_batchnorms, layer_kind

TRANSPARENT = ("SpectralNormalization",)
"""They change the weights of the layer inside in training, and call it with its weights as they are at inference."""


def inner_call(flavour: Flavour, bound: Event, event: Event) -> tuple[Event, Event] | None:
    """The call of the layer inside that a wrapper comes to at inference; None for any other layer.

    Args:
        flavour: The Keras.
        bound: The call of the wrapper, with values.
        event: The same, with symbolic tensors.
    """
    if layer_kind(flavour, event.layer) not in TRANSPARENT or is_masked(event):
        return None
    flag = argument(bound, "training")
    if flag is not None and flag is not False:
        return None
    return _inside(bound), _inside(event)


def _inside(event: Event) -> Event:
    inputs = event.args[0] if event.args else event.kwargs["inputs"]
    return replace(event, layer=event.layer.layer, args=(inputs,), kwargs={})


def calls_batchnorms(flavour: Flavour, layer: Any, inside: Symbolic) -> bool:
    """Whether every BatchNorm of a layer that has weights is called as a layer in what was read of it.

    A wrapper that calls ``self.layer.call`` shows the operations of a BatchNorm and not the BatchNorm.
    """
    called = {id(norm) for event in inside.events for norm in (event.layer, *inner_batchnorms(flavour, event.layer))}
    return all(id(norm) in called for norm in inner_batchnorms(flavour, layer) if norm.built)
