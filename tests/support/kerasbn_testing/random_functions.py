"""Random functions of either Keras that move, join, reduce or resize: what users write between layers."""

from __future__ import annotations

import tensorflow as tf

SIZES = (6, 5, 4)
"""Time or height, width, channels: small, and none equal to another."""


def moved(keras3, x, dice):
    """One function that gives the elements of ``x`` other places; None where it does not fit."""
    name = dice.one_of(sorted(MOVES))
    return MOVES[name](keras3, x, dice)


def _axis(x, dice):
    return 1 + dice.below(len(x.shape) - 1)


def _slice(_, x, dice):
    axis, cut = _axis(x, dice), dice.one_of((slice(1, None), slice(None, None, 2), slice(None, -1), slice(-2, None)))
    return x[(*(slice(None),) * axis, cut)] if (x.shape[axis] or 9) > 1 else None


def _pick(_, x, dice):
    axis = _axis(x, dice)
    return x[(*(slice(None),) * axis, dice.one_of((0, -1)))] if len(x.shape) > 2 else None


def _backwards(_, x, dice):
    return x[(*(slice(None),) * _axis(x, dice), slice(None, None, -1))]


def _new_axis(keras3, x, dice):
    axis = _axis(x, dice)
    if len(x.shape) > 4:
        return None
    if dice.odds(50):
        return x[(*(slice(None),) * axis, None)]
    return keras3.ops.expand_dims(x, axis) if keras3 else tf.expand_dims(x, axis)


def _transpose(keras3, x, dice):
    axes = list(range(1, len(x.shape)))
    turn = dice.below(len(axes))
    order = (0, *axes[turn:], *axes[:turn])
    return keras3.ops.transpose(x, order) if keras3 else tf.transpose(x, order)


def _reshape(keras3, x, dice):
    sizes = x.shape[1:]
    if None in sizes:
        return None
    total = 1
    for size in sizes:
        total *= size
    targets = [(-1, total), (-1, total // sizes[-1], sizes[-1]), (-1, sizes[0], total // sizes[0])]
    shape = dice.one_of(targets)
    return keras3.ops.reshape(x, shape) if keras3 else tf.reshape(x, shape)


def _pad(keras3, x, dice):
    widths = [[0, 0], *([1, 0] if dice.odds(50) else [0, 0] for _ in x.shape[1:])]
    mode = dice.one_of(("constant", "reflect", "symmetric"))
    if mode != "constant" and any((size or 9) < 2 for size in x.shape[1:]):
        return None
    return keras3.ops.pad(x, widths, mode=mode) if keras3 else tf.pad(x, widths, mode=mode.upper())


def _repeat(keras3, x, dice):
    axis = _axis(x, dice)
    return keras3.ops.repeat(x, 2, axis=axis) if keras3 else tf.repeat(x, 2, axis=axis)


def _tile(keras3, x, dice):
    times = [1, *(2 if dice.odds(30) else 1 for _ in x.shape[1:])]
    return keras3.ops.tile(x, times) if keras3 else tf.tile(x, times)


def _take(keras3, x, dice):
    axis = _axis(x, dice)
    where = [0, (x.shape[axis] or 6) - 1, 0]
    return keras3.ops.take(x, where, axis=axis) if keras3 else tf.gather(x, where, axis=axis)


def _roll(keras3, x, dice):
    axis = _axis(x, dice)
    return keras3.ops.roll(x, 1, axis=axis) if keras3 else tf.roll(x, 1, axis)


def _halves(keras3, x, dice):
    """Split in two, of which one goes on, or both in turned order."""
    axis = _axis(x, dice)
    if not x.shape[axis] or x.shape[axis] % 2:
        return None
    first, second = keras3.ops.split(x, 2, axis=axis) if keras3 else tf.split(x, 2, axis=axis)
    choice = dice.below(3)
    if choice == 0:
        return first
    if choice == 1:
        return second
    return keras3.ops.concatenate([second, first], axis=axis) if keras3 else tf.concat([second, first], axis)


def _twice(keras3, x, dice):
    """The same value twice, behind itself or on a new axis."""
    axis = _axis(x, dice)
    if dice.odds(50):
        return keras3.ops.concatenate([x, x], axis=axis) if keras3 else tf.concat([x, x], axis)
    return (keras3.ops.stack([x, x], axis=axis) if keras3 else tf.stack([x, x], axis)) if len(x.shape) < 4 else None


def _slices_added(_, x, dice):
    axis = _axis(x, dice)
    if not x.shape[axis] or x.shape[axis] < 2:
        return None
    front = (slice(None),) * axis
    one, other = x[(*front, slice(1, None))], x[(*front, slice(None, -1))]
    return one + other if dice.odds(50) else one - other


def _reduced(keras3, x, dice):
    axis, keeps = _axis(x, dice), dice.odds(30)
    if len(x.shape) < 3 or not x.shape[axis]:
        return None
    name = dice.one_of(("mean", "sum", "max", "min"))
    function = getattr(keras3.ops, name) if keras3 else getattr(tf, f"reduce_{name}")
    return function(x, axis=axis, keepdims=keeps)


def _resized(keras3, x, dice):
    if len(x.shape) != 4:
        return None
    method = dice.one_of(("bilinear", "nearest"))
    if keras3:
        return keras3.ops.image.resize(x, (7, 3), interpolation=method, data_format="channels_last")
    return tf.image.resize(x, (7, 3), method=method)


def _multiples(_, x, dice):
    """Sums of multiples of one value."""
    return dice.one_of((lambda: x + x, lambda: x + 0.5 * x, lambda: x - x / 3.0 + 1.0, lambda: 2.0 * x - (x - 1.0)))()


MOVES = {
    "slice": _slice, "pick": _pick, "backwards": _backwards, "new_axis": _new_axis, "transpose": _transpose,
    "reshape": _reshape, "pad": _pad, "repeat": _repeat, "tile": _tile, "take": _take, "roll": _roll,
    "halves": _halves, "twice": _twice, "slices_added": _slices_added, "reduced": _reduced, "resized": _resized,
    "multiples": _multiples,
}  # fmt: skip
