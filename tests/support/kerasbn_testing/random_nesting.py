"""Operations of several layers: nested and shared models, residual blocks, parallel branches."""

from __future__ import annotations

from kerasbn_testing.random_layers import activation, batchnorm, conv, dense


def linear(flavour, x, dice):
    return (dense if len(x.shape) == 2 else conv)(flavour, x, dice)


def _inner(flavour, x, dice, name):
    """A nested model on the shape of x that gives the same rank."""
    keras = flavour.keras
    inputs = keras.Input(tuple(x.shape[1:]))
    hidden = linear(flavour, inputs, dice)
    hidden = batchnorm(flavour, hidden if hidden is not None else inputs, dice)
    if hidden is None:
        return None
    if dice.odds(50):
        hidden = activation(flavour, hidden, dice)
    return keras.Model(inputs, hidden, name=name)


def nested(flavour, x, dice):
    inner = _inner(flavour, x, dice, None)
    return None if inner is None else inner(x)


def twice(flavour, x, dice):
    """One layer, and one BatchNorm, called twice."""
    keras = flavour.keras
    units = x.shape[-1]
    if units is None:
        return None
    layer, bn = keras.layers.Dense(units), keras.layers.BatchNormalization()
    second = keras.layers.BatchNormalization() if dice.odds(50) else bn
    first = bn(layer(x))
    return keras.layers.Subtract()([first, second(layer(first if dice.odds(50) else x))])


def block(flavour, x, dice):
    """Convolution, BatchNorm, activation."""
    hidden = linear(flavour, x, dice)
    hidden = None if hidden is None else batchnorm(flavour, hidden, dice)
    return None if hidden is None else activation(flavour, hidden, dice)


def residual(flavour, x, dice):
    """x plus a branch with BatchNorms, pre- or post-activation."""
    keras, units = flavour.keras, x.shape[-1]
    if units is None:
        return None
    hidden = batchnorm(flavour, x, dice) if dice.odds(50) else x
    hidden = keras.layers.Dense(units, use_bias=dice.odds(50))(
        activation(flavour, hidden if hidden is not None else x, dice)
    )
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
    cls = getattr(keras.layers, {3: "Conv1D", 4: "Conv2D", 5: "Conv3D"}.get(len(x.shape), ""), None)
    if cls is None or units is None:
        return None
    normalised = keras.layers.BatchNormalization
    branches = [normalised()(cls(units, k, padding="same", use_bias=dice.odds(50))(x)) for k in (3, 1)]
    if dice.odds(50):
        branches.append(normalised()(x))
    return keras.layers.Add()(branches)


NESTINGS = {
    "nested": nested, "twice": twice, "block": block, "residual": residual, "two_batchnorms": two_batchnorms,
    "repvgg": repvgg,
}  # fmt: skip
