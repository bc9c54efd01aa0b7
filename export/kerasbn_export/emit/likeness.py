"""Whether a layer made again from its configuration computes what the layer computes that is there.

The configuration of a class of the user's may not say all: kimm's reparameterizable convolution resolves ``padding``
in its constructor and then tells the resolved one, of which the constructor makes another layer. So both are given the
same numbers, and for what they give::

    max|L(x) - L'(x)| <= sqrt(eps) * max|L(x)|          eps: of the precision that L computes in
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from kerasbn.flavour import Flavour, layers_inside
from kerasbn_export.arrays import Array
from kerasbn_export.capture.symbolic import Event
from kerasbn_export.capture.training import in_context
from kerasbn_export.capture.untouched import untouched
from kerasbn_export.emit.layer import build_layer, is_function_layer, set_weights
from kerasbn_export.graph.model import Layer
from kerasbn_export.graph.structure import leaves, map_leaves

UNKNOWN = 8
"""Taken for a dimension that a model leaves open; for the first, that of the samples, 1."""

EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float64": 2.0**-52}
"""The distance from 1 to the next number, where it is not that of float32: 2^-23."""


def is_alike(flavour: Flavour, layer: Layer, target: Any, args: Any, kwargs: Any) -> bool:
    """Whether a layer made again does what its source does; True where there is no telling.

    Args:
        flavour: The Keras of both.
        layer: The layer, with its source.
        target: What its configuration makes, built.
        args: What a call gives it: numbers, or symbolic tensors, for which numbers are drawn.
        kwargs: The same by name.
    """
    source = layer.source
    if getattr(target, "has_its_weights", False) or not _has_own_code(flavour, source):
        return True
    if layer.changed:  # its weights are others: another is made as it was
        layer = replace(layer, new_config=None, new_weights=None)
        target = build_layer(flavour, layer, layer.name, None)
    rng = np.random.default_rng(0)
    given = map_leaves(lambda leaf: _drawn(flavour, leaf, rng), (args, kwargs))
    try:
        with untouched(source):
            first, second = (_outputs(flavour, source, *given) for _ in range(2))
    except Exception:  # the code of the user's may raise anything, on numbers that are none of the user's
        return not layers_inside(target) or _classes(source) == _classes(target)
    if any(_differ(*pair, 0.0) for pair in zip(first, second, strict=True)):
        return True  # it draws numbers itself
    try:
        _outputs(flavour, target, *given)  # makes its variables
        set_weights(layer, target)
        with untouched(target):
            found = _outputs(flavour, target, *given)
    except Exception:  # as above
        return False
    rounding = math.sqrt(EPSILON.get(source.compute_dtype, 2.0**-23))
    same = len(first) == len(found) and _classes(source) == _classes(target)
    return same and not any(_differ(*pair, rounding) for pair in zip(first, found, strict=True))


def _classes(layer: Any) -> list[type]:
    """Those of the layers inside."""
    return [type(inner) for inner in layers_inside(layer)]


def _has_own_code(flavour: Flavour, source: Any) -> bool:
    """Whether there is a class of the user's in a layer that has been called, and that is made by its configuration."""
    if not isinstance(source, flavour.keras.layers.Layer) or is_function_layer(source) or not source.built:
        return False
    return any(flavour.stock_name(each) is None for each in (source, *layers_inside(source)))


def _outputs(flavour: Flavour, layer: Any, args: Any, kwargs: Any) -> list[Array]:
    event = in_context(flavour, Event(layer, args, kwargs, []), training=False, replays=False)
    return [np.asarray(leaf) for leaf in leaves(layer(*event.args, **event.kwargs))]


def _drawn(flavour: Flavour, leaf: Any, rng: np.random.Generator) -> Any:
    """Numbers for a symbolic tensor; anything else as it is."""
    if "KerasTensor" not in type(leaf).__name__:
        return leaf
    first, *others = [*leaf.shape] or [1]
    shape = [first or 1, *(size or UNKNOWN for size in others)] if len(leaf.shape) else []
    name = leaf.dtype if isinstance(leaf.dtype, str) else leaf.dtype.name
    array = rng.normal(size=shape) if "float" in name else rng.integers(0, 2, size=shape)
    keras = flavour.keras
    make = keras.ops.convert_to_tensor if flavour.name == "keras" else keras.backend.constant
    return make(array, dtype=name)


def _differ(one: Array, other: Array, rounding: float) -> bool:
    """Whether numbers differ by more than a part of the largest."""
    if one.shape != other.shape:
        return True
    if not np.issubdtype(one.dtype, np.number) and one.dtype.name != "bfloat16":
        return not np.array_equal(one, other)
    one, other = one.astype(np.float64), other.astype(np.float64)
    return bool(np.any(np.abs(one - other) > rounding * np.max(np.abs(one), initial=0.0)))
