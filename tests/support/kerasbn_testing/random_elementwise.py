"""Random layers and functions that look at one element, or one channel, at a time; and those that do nothing."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

NAMES = ("relu", "tanh", "sigmoid", "linear", "gelu", "relu6", "softplus", "leaky_relu", "elu", "softmax")


def activation(flavour, x, dice):
    layers = flavour.keras.layers
    slope = "negative_slope" if flavour.name == "keras" else "alpha"
    several = (x.shape[-1] or 2) > 1  # of one number: Keras warns
    choice = dice.below(10)
    if choice == 0:
        return layers.ReLU()(x)
    if choice == 1:
        return layers.ReLU(max_value=dice.one_of((6.0, 6.0, 1.0)))(x)
    if choice == 2:
        return layers.LeakyReLU(**{slope: dice.one_of((0.3, 0.1))})(x)
    if choice == 3:
        shared = dice.one_of((list(range(1, len(x.shape) - 1)), [len(x.shape) - 1], []))
        return layers.PReLU(shared_axes=shared or None)(x)
    if choice == 4:
        return layers.ELU()(x)
    if choice == 5:
        return layers.ReLU(negative_slope=0.2, threshold=dice.one_of((0.0, 0.5)))(x)
    if choice == 6:
        return softmax(flavour, x, dice)
    name = dice.one_of(NAMES)
    return layers.Activation(name)(x) if name != "softmax" or several else None


def softmax(flavour, x, dice):
    """Along the last axis or the first one behind the batch."""
    axis = dice.one_of((-1, 1))
    return flavour.keras.layers.Softmax(axis=axis)(x) if (x.shape[axis] or 2) > 1 else None


def function(flavour, x, dice):
    """The same by the functions of the framework, which become operations or layers of their own."""
    name = dice.one_of(("relu", "relu6", "leaky_relu", "tanh"))
    if flavour.name == "keras":
        return getattr(flavour.keras.ops, name)(x)
    return getattr(tf.math if name == "tanh" else tf.nn, name)(x)


def inert(flavour, x, dice):
    """What does nothing at inference, in training mode now and then: noise of no strength is no noise."""
    layers = flavour.keras.layers
    spatial = getattr(layers, f"SpatialDropout{len(x.shape) - 2}D", None)
    made = (
        *(layers.Dropout, layers.GaussianNoise, layers.AlphaDropout, layers.GaussianDropout, spatial or layers.Dropout),
        *(
            lambda _: layers.Activation("linear"),
            lambda _: layers.Identity(),
            lambda _: layers.ActivityRegularization(),
        ),
    )
    layer = dice.one_of(made)(0.5)
    return layer(x) if not dice.odds(8) else layers.Dropout(0.0)(x, training=True)


def arithmetic(flavour, x, dice):
    """Sums, products and so on with constants: numbers, or arrays that are broadcast along some axes."""
    c = _constant(x, dice)
    operation = dice.one_of((
        lambda: x + c, lambda: x * c, lambda: x - c, lambda: c - x, lambda: x / 2.5, lambda: -x, lambda: x[:, :1],
        lambda: x / _away_from_zero(c), lambda: _named(flavour, "add", x, c), lambda: _named(flavour, "multiply", x, c),
        lambda: _named(flavour, "subtract", x, c), lambda: _named(flavour, "divide", x, _away_from_zero(c)),
        lambda: 1.0 / (x * x + 1.0),
    ))  # fmt: skip
    return operation()


def _named(flavour, name, *arguments):
    return getattr(flavour.keras.ops if flavour.name == "keras" else tf.math, name)(*arguments)


def _away_from_zero(constant):
    return np.where(np.abs(constant) < 0.2, 1.0, constant).astype("float32")


def _constant(x, dice):
    """A number, or an array for the last axis, for the first one behind the batch, or for a whole sample."""
    rank, sizes = len(x.shape), x.shape[1:]
    choice = dice.below(5)
    if choice == 2 and sizes[0] is not None:
        return _numbers((sizes[0], *(1,) * (rank - 2)))
    if choice == 3 and None not in sizes:
        return _numbers(tuple(sizes))
    if choice == 4:
        return dice.one_of((2.0, -0.5, 0.0, 1.0))
    return 2.0 if sizes[-1] is None else _numbers((sizes[-1],))


def _numbers(shape):
    return np.linspace(-1.5, 1.0, int(np.prod(shape))).reshape(shape).astype("float32")


def function_layer(flavour, x, _dice):
    return flavour.keras.layers.Lambda(_doubled)(x)


def _doubled(x):
    return 2 * x - 1


def hard_swish(flavour, x, dice):
    """Written out, in the two forms that the converter knows."""
    layers = flavour.keras.layers
    gate = layers.ReLU(6.0)(x + 3.0)
    sixth = 1.0 / 6.0
    return layers.Multiply()([x, gate * sixth]) if dice.odds(50) else layers.Multiply()([x, gate]) * sixth


ELEMENTWISE = {
    "activation": activation, "function": function, "inert": inert, "arithmetic": arithmetic,
    "lambda": function_layer, "hard_swish": hard_swish,
}  # fmt: skip
