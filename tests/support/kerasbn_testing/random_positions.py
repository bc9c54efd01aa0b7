"""Random layers that move, join, leave out or repeat positions."""

from __future__ import annotations

import numpy as np

from kerasbn_testing.random_linear import SPATIAL


def pool(flavour, x, dice):
    axes = len(x.shape) - 2
    if axes == 3 and not dice.single:  # TensorFlow pools no float64 in three dimensions on a CPU
        return None
    kind = dice.one_of(("Max", "Average"))
    cls = getattr(flavour.keras.layers, f"{kind}Pooling{SPATIAL.get(axes + 2)}", None)
    options = {"pool_size": 1 + dice.below(3), "strides": dice.one_of((None, 1, 2))}
    if axes > 1 and dice.odds(20):
        options["pool_size"] = tuple(1 + dice.below(3) for _ in range(axes))
    options |= {"padding": dice.one_of(("valid", "same")), "data_format": dice.data_format()}
    return None if cls is None else cls(**options)(x)


def global_pool(flavour, x, dice):
    kind = dice.one_of(("Average", "Max"))
    cls = getattr(flavour.keras.layers, f"Global{kind}Pooling{SPATIAL.get(len(x.shape))}", None)
    data_format = "channels_first" if dice.odds(15) else "channels_last"
    return None if cls is None else cls(keepdims=dice.odds(30), data_format=data_format)(x)


def upsample(flavour, x, dice):
    cls = getattr(flavour.keras.layers, f"UpSampling{SPATIAL.get(len(x.shape))}", None)
    if cls is None:
        return None
    options = {}
    if len(x.shape) == 4:
        options["interpolation"] = dice.one_of(("nearest", "bilinear", "nearest", "bilinear", "bicubic", "lanczos3"))
    return cls(size=2, **options, **_layout(x, dice))(x)


def _layout(x, dice):
    """Channels first now and then, where the layer has the option."""
    return {"data_format": "channels_first" if dice.odds(15) else "channels_last"} if len(x.shape) > 3 else {}


def crop(flavour, x, dice):
    cls = getattr(flavour.keras.layers, f"Cropping{SPATIAL.get(len(x.shape))}", None)
    if cls is None:
        return None
    return cls(_sides(x, dice, (0, 1)), **_layout(x, dice))(x)


def zero_pad(flavour, x, dice):
    cls = getattr(flavour.keras.layers, f"ZeroPadding{SPATIAL.get(len(x.shape))}", None)
    if cls is None:
        return None
    return cls(_sides(x, dice, (1, 0)), **_layout(x, dice))(x)


def _sides(x, dice, one_side):
    axes = len(x.shape) - 2
    uneven = one_side if axes == 1 else (one_side,) * axes
    return dice.one_of((1, uneven, 0 if axes == 1 else (one_side, *((0, 0),) * (axes - 1))))


def flatten(flavour, x, dice):
    if len(x.shape) < 3 or None in x.shape[1:]:
        return None
    return flavour.keras.layers.Flatten(data_format="channels_first" if dice.odds(15) else None)(x)


def reshape(flavour, x, dice):
    sizes = list(x.shape[1:])
    if None in sizes:
        return flavour.keras.layers.Reshape((-1, sizes[-1]))(x) if None not in sizes[-1:] else None
    total = int(np.prod(sizes))
    targets = [(total,), (1, *sizes), (*sizes, 1), (-1, sizes[-1]), (sizes[-1], -1), (*sizes[:-1], 1, sizes[-1])]
    targets += [(sizes[0], -1), (sizes[0], 1, *sizes[1:])]
    targets += [(total // 2, 2), (2, total // 2)] if total % 2 == 0 else []
    targets = [target for target in targets if len(target) <= 4]
    return flavour.keras.layers.Reshape(dice.one_of(targets))(x)


def permute(flavour, x, dice):
    axes = list(range(1, len(x.shape)))
    turn = dice.below(len(axes))
    order = axes[turn:] + axes[:turn] if dice.odds(70) else axes[::-1]
    return flavour.keras.layers.Permute(tuple(order))(x)


def repeat(flavour, x, dice):
    return flavour.keras.layers.RepeatVector(2 + dice.below(2))(x) if len(x.shape) == 2 else None


POSITIONS = {
    "pool": pool, "global_pool": global_pool, "upsample": upsample, "crop": crop, "zero_pad": zero_pad,
    "flatten": flatten, "reshape": reshape, "permute": permute, "repeat": repeat,
}  # fmt: skip
