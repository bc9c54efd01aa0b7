"""What a layer's configuration does not carry: functions, plain attributes set later, vocabularies."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from kerasbn.errors import UnsupportedModelError
from kerasbn.flavour import Flavour, layers_inside
from kerasbn_export.graph.batchnorm import true_config

PLAIN = (bool, int, float, complex, str, bytes, type(None))


def complete(source: Any, config: dict[str, Any]) -> dict[str, Any]:
    """The configuration with what is missing or wrong in it.

    Adapted lookup layers leave their vocabulary out; tf_keras' BatchNorm with ghost batches, also inside a wrapper, has
    its axes one too high.

    Raises:
        UnsupportedModelError: The layer weighs its words by frequencies, which have no place in a configuration.
    """
    inner = getattr(source, "layer", None)
    if inner is not None and (true := true_config(inner)) is not None:
        return {**config, "layer": {**config["layer"], "config": {**config["layer"]["config"], "axis": true["axis"]}}}
    if not has_vocabulary(source):
        return config
    if config.get("output_mode") == "tf_idf":
        raise UnsupportedModelError(
            f"Layer {source.name!r} ({type(source).__qualname__}) has output_mode='tf_idf', which kerasbn does not "
            "carry over. Take it out of the model, and give the model its output."
        )
    words = source.get_vocabulary(include_special_tokens=False)
    return {**config, "vocabulary": [word.item() if isinstance(word, np.generic) else word for word in words]}


def has_vocabulary(source: Any) -> bool:
    """Whether the layer keeps its state in a lookup table and not in weights."""
    return type(source).__name__ in ("IntegerLookup", "StringLookup", "TextVectorization")


def make_alike(flavour: Flavour, source: Any, target: Any, *, retyped: bool) -> None:
    """Give a layer made from the configuration of another what that does not carry, also to the layers inside.

    A function of the user's by the name of one of Keras' is read back as Keras' one. A plain attribute of a class of
    the user's may have been set after construction.

    Args:
        flavour: Their Keras.
        source: The layer of the model.
        target: The layer made again.
        retyped: Whether the target has another precision.
    """
    pairs = list(zip(_layers(source), _layers(target), strict=False))
    for old, new in pairs:
        if type(old) is type(new):
            _give_functions(old, new)
            if flavour.stock_name(old) is None:
                _give_plain_attributes(flavour, old, new, retyped)


def _layers(layer: Any) -> list[Any]:
    return [layer, *layers_inside(layer)]


def _give_functions(old: Any, new: Any) -> None:
    for name, function in vars(old).items():
        other = vars(new).get(name)
        if inspect.isfunction(function) and inspect.isfunction(other) and _code(function) is not _code(other):
            setattr(new, name, function)


def _code(function: Any) -> Any:
    """That of a function without its wrappers: tf_keras wraps each of its activations in the same one."""
    bare = inspect.unwrap(function)
    return getattr(bare, "__code__", bare)


def _give_plain_attributes(flavour: Flavour, old: Any, new: Any, retyped: bool) -> None:
    of_keras = vars(flavour.keras.layers.Layer())
    for name, value in vars(old).items():
        if name in of_keras or name not in vars(new) or not isinstance(value, (*PLAIN, np.ndarray)):
            continue
        if retyped and "float" in str(getattr(value, "dtype", value)):
            continue
        if not isinstance(vars(new)[name], (*PLAIN, np.ndarray)):
            continue
        setattr(new, name, value.copy() if isinstance(value, np.ndarray) else value)
