"""Recurrent layers as data: which they are, and the same with other options.

An option, as ``unroll`` or ``stateful``, is set in the layer and in every stock layer and cell that it holds:
``Bidirectional(RNN([GRUCell(8), LSTMCell(8)]))`` is one layer here.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from kerasbn.flavour import Flavour, layers_inside
from kerasbn_export.graph.model import Layer

CONVOLUTIONAL = ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
KINDS = ("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", *CONVOLUTIONAL)
AT_INFERENCE = {"stateful": False, "dropout": 0.0, "recurrent_dropout": 0.0}
"""What one run from a fresh state leaves of a layer."""


def is_recurrent(layer: Layer) -> bool:
    """Whether a layer is a stock recurrent one, or TimeDistributed with one inside."""
    inner = layer.config.get("layer") if layer.kind == "TimeDistributed" else None
    return layer.kind in KINDS or (inner is not None and _is_stock(inner) and inner["class_name"] in KINDS)


def with_options(layer: Layer, options: Mapping[str, Any]) -> Layer:
    """A recurrent layer with some options set wherever it has them; the very same if it has them so.

    Args:
        layer: The layer.
        options: Each by its name.
    """
    config = _with(layer.config, options)
    return layer if config == layer.config else replace(layer, new_config=config)


def at_inference(layer: Layer) -> Layer:
    """The layer without what it keeps from one call to the next; any that is not recurrent as it is."""
    return with_options(layer, AT_INFERENCE) if is_recurrent(layer) else layer


def is_stateful(layer: Layer) -> bool:
    """Whether a recurrent layer starts from where its last call ended."""
    return with_options(layer, {"stateful": False}) is not layer


def _with(config: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: options[key] if key in options else _with_inside(value, options)  # whatever holds a layer has none of them
        for key, value in config.items()
    }


def _with_inside(value: Any, options: Mapping[str, Any]) -> Any:
    if isinstance(value, (list, tuple)) and any(map(_is_stock, value)):
        return [_with_inside(entry, options) for entry in value]
    return {**value, "config": _with(value["config"], options)} if _is_stock(value) else value


def _is_stock(value: Any) -> bool:
    """Whether a part of a configuration is a layer or cell of Keras itself: one of the user's may mean anything."""
    return isinstance(value, dict) and isinstance(value.get("config"), dict) and not value.get("registered_name")


def make(flavour: Flavour, cls: Any, config: dict[str, Any]) -> Any:
    """A layer from its configuration, also where that unrolls a ConvLSTM of tf_keras, which refuses to be.

    Args:
        flavour: The Keras.
        cls: The class of the layer.
        config: Its configuration, which this may change.
    """
    unrolled = [found for found in _convolutions(cls.__name__, config) if found.get("unroll")]
    if flavour.name == "keras" or not unrolled:
        return cls.from_config(config)
    for found in unrolled:
        found["unroll"] = False
    target = cls.from_config(config)
    for layer in [target, *layers_inside(target)]:
        if type(layer).__name__ in CONVOLUTIONAL:
            layer.call = functools.partial(_in_steps, flavour, layer)
    return target


def _convolutions(name: str, config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The configurations of the ConvLSTMs in one."""
    if name in CONVOLUTIONAL:
        yield config
    for value in config.values():
        if _is_stock(value):
            yield from _convolutions(value.get("class_name", ""), value["config"])


def _in_steps(flavour: Flavour, layer: Any, inputs: Any, mask: Any = None, initial_state: Any = None, **_: Any) -> Any:
    """What the layer computes at inference, its steps one after another."""
    backend = flavour.keras.backend
    if isinstance(inputs, (list, tuple)):
        inputs, *initial_state = inputs
    fresh = map(backend.zeros_like, layer.get_initial_state(inputs))  # it convolves with zeros, to get the shape
    last, outputs, states = backend.rnn(
        layer.cell.call,
        inputs,
        initial_state or list(fresh),
        go_backwards=layer.go_backwards,
        mask=mask[0] if isinstance(mask, list) else mask,
        unroll=True,
        input_length=inputs.shape[1],
        return_all_outputs=layer.return_sequences,
    )
    found = outputs if layer.return_sequences else last
    return [found, *states] if layer.return_state else found
