"""Random layers and functions of two tensors."""

from __future__ import annotations

import tensorflow as tf


def fits(name, x, y):
    """Whether two tensors go together: equal shapes, but for one axis where they are concatenated or broadcast."""
    if len(x.shape) != len(y.shape) or None in x.shape[1:] or None in y.shape[1:]:
        return tuple(x.shape) == tuple(y.shape)
    pairs = list(zip(x.shape[1:], y.shape[1:], strict=True))
    different = [pair for pair in pairs if pair[0] != pair[1]]
    if name == "concatenate":
        return len(different) <= 1
    return all(1 in pair for pair in different)


def add(flavour, x, y, dice):
    keras = flavour.keras
    cls = getattr(keras.layers, dice.one_of(("Add", "Add", "Subtract", "Average", "Maximum", "Minimum")))
    if dice.odds(25):
        return dice.one_of((lambda: x + y, lambda: x - y, lambda: _named(flavour, "add", x, y),
                            lambda: _named(flavour, "subtract", x, y)))()  # fmt: skip
    three = dice.odds(10) and cls is not keras.layers.Subtract
    return cls()([x, y, x] if three else [x, y])


def product(flavour, x, y, dice):
    if dice.odds(30):
        return x * y if dice.odds(50) else _named(flavour, "multiply", x, y)
    return flavour.keras.layers.Multiply()([x, y])


def _named(flavour, name, x, y):
    return getattr(flavour.keras.ops if flavour.name == "keras" else tf.math, name)(x, y)


def concatenate(flavour, x, y, dice):
    different = [axis for axis in range(1, len(x.shape)) if x.shape[axis] != y.shape[axis]]
    axis = different[0] if different else dice.one_of((-1, -1, 1))
    return flavour.keras.layers.Concatenate(axis=axis)([x, y, x] if dice.odds(15) and not different else [x, y])


MERGES = {"sum": add, "product": product, "concatenate": concatenate}
