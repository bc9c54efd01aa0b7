"""What an elementwise layer makes of a constant: ``f(c)``, computed by Keras itself in float64.

Condition: the layer computes each element from itself alone (and weights along the channel axis).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from kerasbn.flavour import Flavour
from kerasbn_export.algebra.affine import Float64
from kerasbn_export.emit.layer import build_layer, retyped_arguments, set_weights
from kerasbn_export.graph.model import Call, Value, new_layer
from kerasbn_export.graph.structure import map_leaves


def evaluate(flavour: Flavour, call: Call, constants: Float64) -> Float64:
    """``f`` of each constant; NaN stays NaN, and NaN is what is not finite.

    Args:
        flavour: The Keras of the call.
        call: A call of an elementwise layer or operation on one value.
        constants: One number for each channel.
    """
    layer = replace(call.layer)  # its copy is built, so that nothing of the user's model is called
    target = build_layer(flavour, layer, "constants", "float64")
    probe = constants.reshape((1,) * ((call.inputs[0].rank or 1) - 1) + (-1,))
    if hasattr(target, "build") and layer.weights and not target.built:
        target.build(probe.shape)
    set_weights(layer, target)
    arguments = map_leaves(lambda leaf: probe if isinstance(leaf, Value) else leaf, (call.args, call.kwargs))
    args, kwargs = retyped_arguments(arguments, "float64")
    return _behind(target(*args, **kwargs), constants)


def activated(flavour: Flavour, name: str, constants: Float64) -> Float64:
    """An activation inside a layer, of each constant; NaN stays NaN."""
    if name == "linear":
        return constants
    target = build_layer(flavour, new_layer("Activation", "constants", {"activation": name}), "constants", "float64")
    return _behind(target(constants.reshape(1, -1)), constants)


def _behind(output: Any, constants: Float64) -> Float64:
    result = np.asarray(output, np.float64).reshape(-1)
    return np.where(np.isnan(constants) | ~np.isfinite(result), np.nan, result)
