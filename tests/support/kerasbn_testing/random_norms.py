"""Random normalizations: BatchNorm with any option, and the other layers that end in an affine."""

from __future__ import annotations

import numpy as np

RENORM_CLIPPING = {"rmax": 3.0, "rmin": 0.2, "dmax": 2.0}


def batchnorm(flavour, x, dice):
    """Either Keras' own layer or kerasbn's, along any axis or axes, in training mode now and then."""
    own = dice.odds(35)
    axis = _axis(flavour, x, dice, several=own or flavour.name == "tf_keras")
    if any(x.shape[each] is None for each in np.ravel(axis)):
        return None
    options = {"axis": axis, "scale": not dice.odds(20), "center": not dice.odds(20)}
    options |= {"epsilon": dice.one_of((1e-3, 1e-5, 0.1)), "trainable": not dice.odds(10)}
    kind = flavour.batch_normalization if own else flavour.keras.layers.BatchNormalization
    if dice.odds(25):
        options |= dice.one_of(_OWN if own else _STOCK[flavour.name])
    elif not own and flavour.name == "tf_keras" and dice.odds(8) and not isinstance(axis, list):
        kind = flavour.keras.layers.experimental.SyncBatchNormalization
    if dice.odds(4):  # its averages stay as they are, so that a model gives the same each time
        return kind(**{**options, "momentum": 1.0})(x, training=True)
    return kind(**options)(x)


_OWN = (
    {"renorm": True},
    {"renorm": True, "renorm_clipping": RENORM_CLIPPING},
    {"momentum": None},
    {"virtual_batch_size": 1},
    {"synchronized": True},
    {"fused": False},
    {"unbiased_variance": True},
    {"adjustment": lambda shape: (2.0, 1.0)},  # noqa: ARG005  # Keras calls it with the shape
)
_STOCK = {
    "keras": ({"synchronized": True}, {"momentum": 0.5}),
    "tf_keras": (
        {"renorm": True},
        {"renorm": True, "renorm_clipping": RENORM_CLIPPING},
        {"fused": False},
        {"virtual_batch_size": 1},
        {"synchronized": True},
    ),
}


def _axis(flavour, x, dice, *, several):
    """Mostly the last axis; sometimes another, counted from either side; sometimes several, where that is known."""
    del flavour
    rank = len(x.shape)
    if several and rank > 2 and dice.odds(8):
        first = 1 + dice.below(rank - 2)
        return [first, rank - 1] if dice.odds(50) else [first - rank, -1]
    if dice.odds(20):
        axis = 1 + dice.below(rank - 1)
        return axis - rank if dice.odds(50) else axis
    return -1


def layer_norm(flavour, x, dice):
    axis = dice.one_of((-1, -1, 1, [-1], [1, -1] if len(x.shape) > 2 else -1))
    if any(x.shape[each] is None for each in np.ravel(axis)):
        return None
    options = {"scale": not dice.odds(20), "center": not dice.odds(20)}
    return flavour.keras.layers.LayerNormalization(axis=axis, **options)(x)


def group_norm(flavour, x, dice):
    axis = dice.one_of((-1, -1, 1))
    if len(x.shape) < 3 or None in x.shape[1:]:
        return None
    groups = dice.one_of((-1, 1, 2))
    if groups == 2 and x.shape[axis] % 2:
        return None
    options = {"scale": not dice.odds(20), "center": not dice.odds(20)}
    return flavour.keras.layers.GroupNormalization(groups=groups, axis=axis, **options)(x)


def other_norm(flavour, x, dice):
    """Normalizations that no rule knows."""
    names = ("UnitNormalization", "RMSNormalization")
    cls = getattr(flavour.keras.layers, dice.one_of(names), None)
    return None if cls is None or x.shape[-1] is None else cls()(x)


def rescale(flavour, x, dice):
    size = x.shape[-1]
    scale, offset = dice.one_of((0.5, -2.0, 1.0, 0.0)), dice.one_of((0.0, 1.5))
    if size is not None and dice.odds(30):
        scale = np.linspace(-1.5, 2.0, size).tolist()
    if size is not None and dice.odds(30):
        offset = np.linspace(-1.0, 0.5, size).tolist()
    return flavour.keras.layers.Rescaling(scale, offset)(x)


def normalise(flavour, x, dice):
    axis = dice.one_of((-1, -1, -1, 1, None))
    if axis is None:
        return flavour.keras.layers.Normalization(axis=None, mean=0.5, variance=4.0, invert=dice.odds(30))(x)
    if x.shape[axis] is None:
        return None
    mean = np.linspace(-1.0, 2.0, x.shape[axis])
    variance = mean**2 + dice.one_of((0.3, 2.0))
    return flavour.keras.layers.Normalization(axis=axis, mean=mean, variance=variance, invert=dice.odds(30))(x)


NORMS = {
    "batchnorm": batchnorm, "layer_norm": layer_norm, "group_norm": group_norm, "other_norm": other_norm,
    "rescale": rescale, "normalise": normalise,
}  # fmt: skip
