"""Operations of several layers: nested and shared models, residual blocks, parallel branches."""

from __future__ import annotations

from kerasbn_testing.random_elementwise import activation, inert
from kerasbn_testing.random_linear import conv, dense
from kerasbn_testing.random_norms import batchnorm
from kerasbn_testing.random_positions import pool


def linear(flavour, x, dice):
    return (dense if len(x.shape) == 2 else conv)(flavour, x, dice)


def _inner(flavour, x, dice, depth=0):
    """A model on the shape of x; now and then with a model inside."""
    keras = flavour.keras
    inputs = hidden = keras.Input(tuple(x.shape[1:]))
    for _ in range(1 + dice.below(3)):
        made = dice.one_of((linear, batchnorm, activation, pool, inert))(flavour, hidden, dice)
        hidden = hidden if made is None else made
    if depth < 2 and dice.odds(15):
        deeper = _inner(flavour, hidden, dice, depth + 1)
        hidden = hidden if deeper is None else deeper(hidden)
    made = batchnorm(flavour, hidden, dice)
    hidden = hidden if made is None else made
    return None if hidden is inputs else keras.Model(inputs, hidden)


def nested(flavour, x, dice):
    """A model inside the model, now and then called twice."""
    inner = _inner(flavour, x, dice)
    if inner is None:
        return None
    first = inner(x)
    if tuple(first.shape) == tuple(x.shape) and dice.odds(30):
        return inner(first)
    if dice.odds(20):
        return flavour.keras.layers.Subtract()([first, inner(flavour.keras.layers.Activation("tanh")(x))])
    return first


def sequential(flavour, x, dice):
    """A Sequential inside the model, built by its call."""
    keras = flavour.keras
    if x.shape[-1] is None:
        return None
    layers = [keras.layers.Dense(2, use_bias=dice.odds(50)), keras.layers.BatchNormalization()]
    layers += [keras.layers.ReLU(), keras.layers.Dropout(0.1)][: dice.below(3)]
    return keras.Sequential(layers)(x)


def inside_time(flavour, x, dice):
    """TimeDistributed of a whole model, which stays closed."""
    if len(x.shape) < 3 or x.shape[1] is None or None in x.shape[2:]:
        return None
    inner = _inner(flavour, flavour.keras.Input(tuple(x.shape[2:])), dice, depth=2)
    return None if inner is None else flavour.keras.layers.TimeDistributed(inner)(x)


def twice(flavour, x, dice):
    """One layer, and one BatchNorm, called twice."""
    keras = flavour.keras
    units = x.shape[-1]
    if units is None:
        return None
    layer, bn = keras.layers.Dense(units), keras.layers.BatchNormalization()
    second = keras.layers.BatchNormalization() if dice.odds(50) else bn
    first = bn(layer(x))  # not minus itself: what is exactly zero has no scale to judge an error by
    other = first if dice.odds(50) else keras.layers.Activation("tanh")(x)
    return keras.layers.Subtract()([first, second(layer(other))])


def block(flavour, x, dice):
    """Convolution, BatchNorm, activation."""
    hidden = linear(flavour, x, dice)
    hidden = None if hidden is None else batchnorm(flavour, hidden, dice)
    return None if hidden is None else activation(flavour, hidden, dice)


def before_padding(flavour, x, dice):
    """Convolution, activation, BatchNorm, and a convolution that pads."""
    layers, rank = flavour.keras.layers, len(x.shape)
    cls = getattr(layers, {3: "Conv1D", 4: "Conv2D", 5: "Conv3D"}.get(rank, ""), None)
    if cls is None or x.shape[-1] is None:
        return None
    hidden = cls(2, 1, use_bias=dice.odds(50))(x)
    hidden = dice.one_of((layers.ReLU(), layers.Activation("tanh"), layers.Dropout(0.1)))(hidden)
    return cls(2, 1 + dice.below(3), padding="same", use_bias=dice.odds(50))(layers.BatchNormalization()(hidden))


def residual(flavour, x, dice):
    """x plus a branch with BatchNorms, pre- or post-activation."""
    keras, units = flavour.keras, x.shape[-1]
    if units is None:
        return None
    hidden = batchnorm(flavour, x, dice) if dice.odds(50) else x
    acted = activation(flavour, hidden if hidden is not None else x, dice)
    hidden = keras.layers.Dense(units, use_bias=dice.odds(50))(x if acted is None else acted)
    hidden = keras.layers.BatchNormalization()(hidden)
    merged = keras.layers.Add()([x, hidden] if dice.odds(50) else [hidden, x])
    return keras.layers.ReLU()(merged) if dice.odds(50) else merged


def two_batchnorms(flavour, x, dice):
    """One output under two BatchNorms."""
    hidden = linear(flavour, x, dice)
    branches = [] if hidden is None else [batchnorm(flavour, hidden, dice), batchnorm(flavour, hidden, dice)]
    if not branches or any(branch is None for branch in branches):
        return None
    return flavour.keras.layers.Concatenate()(branches)


def repvgg(flavour, x, dice):
    """k x k and 1 x 1 convolution and identity, each with its BatchNorm, added."""
    keras, units = flavour.keras, x.shape[-1]
    cls = getattr(keras.layers, {2: "Dense", 3: "Conv1D", 4: "Conv2D", 5: "Conv3D"}.get(len(x.shape), ""), None)
    if cls is None or units is None:
        return None
    if len(x.shape) == 2:
        branches = [cls(units, use_bias=dice.odds(50))(x) for _ in range(2)]
    else:
        options = {"padding": dice.one_of(("same", "same", "valid")), "strides": 1 + dice.below(2)}
        options |= {"dilation_rate": 1 + dice.odds(10)} if options["strides"] == 1 else {}
        sizes = dice.one_of(((3, 1), (3, 1), (3, 2), (1, 1), (2, 2)))
        branches = [cls(units, k, use_bias=dice.odds(50), **options)(x) for k in sizes]
    branches = [keras.layers.BatchNormalization()(branch) if dice.odds(70) else branch for branch in branches]
    if dice.odds(50):
        branches.append(keras.layers.BatchNormalization()(x) if dice.odds(70) else x)
    if len({tuple(branch.shape) for branch in branches}) > 1:
        return None
    return keras.layers.Add()(branches)


NESTINGS = {
    "nested": nested, "sequential": sequential, "inside_time": inside_time, "twice": twice, "block": block,
    "before_padding": before_padding, "residual": residual, "two_batchnorms": two_batchnorms, "repvgg": repvgg,
}  # fmt: skip
