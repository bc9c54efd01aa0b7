"""Functions that move, join and reduce, in both Kerases: each with an affine before or behind it that may not pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from patterns.pattern import BN, conv1d, dense, layer

from kerasbn_testing.counterexamples.building import (
    AXIS_1,
    MASK,
    TANH,
    chain,
    counterexample,
    function,
    own_norm,
    through,
)

STEPS = (6, 4)
ACTIVE = conv1d(4, 3, activation="tanh")
FLAT = layer("Flatten")


def of_keras_3(x: Any) -> bool:
    return type(x[0] if isinstance(x, (list, tuple)) else x).__module__.startswith("keras.")


def named(name: str, tensorflow: str | None = None, **options: Any) -> Callable[[Any], Any]:
    """A function of `keras.ops`, and of TensorFlow, by its name there."""

    def call(x: Any) -> Any:
        if of_keras_3(x):
            import keras

            return getattr(keras.ops, name)(x, **options)
        return getattr(tf, tensorflow or name)(x, **options)

    return call


def indexed(name: str, tensorflow: str | None = None, index: Any = None, **options: Any) -> Callable[[Any], Any]:
    """The same with one more argument before the options."""

    def call(x: Any) -> Any:
        if of_keras_3(x):
            import keras

            return getattr(keras.ops, name)(x, index, **options)
        return getattr(tf, tensorflow or name)(x, index, **options)

    return call


def reduced(name: str, **options: Any) -> Callable[[Any], Any]:
    return named(name, f"reduce_{name}", **options)


ZEROS = indexed("pad", index=[[0, 0], [1, 0], [0, 0]])
TURNED = {
    "last": lambda x: x[:, -1],
    "half of the channels": lambda x: x[:, :, 1:3],
    "backwards": lambda x: x[:, :, ::-1],
    "padded": ZEROS,
    "reflected": lambda x: indexed("pad", index=[[0, 0], [1, 0], [0, 0]], mode="reflect")(x),
    "ones around": lambda x: ones_around(x),
    "repeated": indexed("repeat", index=2, axis=2),
    "rolled over samples": lambda x: (indexed("roll", index=1, axis=0))(x),
    "swapped": lambda x: swapped(x),
    "summed": reduced("sum", axis=1),
    "summed over channels": reduced("sum", axis=2),
    "summed over all": lambda x: reduced("sum", axis=(1, 2), keepdims=True)(x),
    "summed and kept": reduced("sum", axis=1, keepdims=True),
    "averaged": reduced("mean", axis=1),
    "averaged over samples": reduced("mean", axis=0, keepdims=True),
    "averaged over channels": reduced("mean", axis=2, keepdims=True),
    "greatest": reduced("max", axis=1),
    "least": reduced("min", axis=1),
    "twice": lambda x: x + x,
    "one and a half": lambda x: x + 0.5 * x,
    "by channel": lambda x: x - x * np.arange(1.0, 5, dtype="float32"),
    "by step": lambda x: x + x * np.arange(1.0, (x.shape[1] or 6) + 1.0, dtype="float32")[:, None],
    "difference of slices": lambda x: x[:, 1:] - x[:, :-1],
    "sum of slices": lambda x: x[:, 1:] + x[:, :-1],
    "slices of channels": lambda x: x[:, :, 1:] + x[:, :, :-1],
    "slice and all": lambda x: x[:, :1] + x,
    "slice and square": lambda x: x[:, 1:] + x[:, 1:] * x[:, 1:],
    "product of slices": lambda x: x[:, 1:] * x[:, :-1],
    "joined to itself": lambda x: joined([x, x], 1),
    "joined slices": lambda x: joined([x[:, 2:], x[:, :2]], 1),
    "joined channels": lambda x: joined([x[:, :, 2:], x[:, :, :2]], 2),
    "joined to itself along channels": lambda x: joined([x, x], 2),
    "joined to its differences": lambda x: joined([x[:, 1:] - x[:, :-1], x], 1),
    "greatest with a bound": lambda x: bounded_below(x),
    "turned over samples": lambda x: turned_over(x),
    "more for each element": lambda x: x + np.arange(24.0, dtype="float32").reshape(6, 4)[: x.shape[1]],
    "joined to its square": lambda x: joined([x, x * x], 1),
    "rounded": lambda x: whole(x),
    "largest half": lambda x: halves(x)[0],
    "both halves": lambda x: halves(x)[0] * tanh(halves(x)[1]),
    "squared": lambda x: x * x,
}  # fmt: skip


def ones_around(x: Any) -> Any:
    return indexed("pad", index=[[0, 0], [1, 0], [0, 0]], constant_values=1.0)(x)


def swapped(x: Any) -> Any:
    return named("transpose", axes=(0, 2, 1))(x) if of_keras_3(x) else tf.transpose(x, (0, 2, 1))


def turned_over(x: Any) -> Any:
    return named("transpose", axes=(1, 0, 2))(x) if of_keras_3(x) else tf.transpose(x, (1, 0, 2))


def bounded_below(x: Any) -> Any:
    """A maximum with a lowest value, which is an option in Keras 3."""
    return reduced("max", axis=1, initial=0.5)(x) if of_keras_3(x) else tf.maximum(tf.reduce_max(x, axis=1), 0.5)


def squared_and_more(x: Any) -> Any:
    """An activation of the user's own."""
    return x * x + 1.0


def joined(parts: list[Any], axis: int) -> Any:
    if of_keras_3(parts):
        import keras

        return keras.ops.concatenate(parts, axis=axis)
    return tf.concat(parts, axis)


def halves(x: Any) -> Any:
    return indexed("split", index=2, axis=2)(x)


def tanh(x: Any) -> Any:
    return named("tanh")(x)


def whole(x: Any) -> Any:
    """Through whole numbers: the type that moves is not the one that comes."""
    return indexed("cast", index="float32")(indexed("cast", index="int32")(10.0 * x)[:, 1:])


for name, turned in TURNED.items():
    chain(f"batchnorm before {name}", STEPS, ACTIVE, BN, function(turned), dense(3))
    chain(f"batchnorm behind {name}", STEPS, conv1d(4, 3), function(turned), BN, TANH)
    chain(f"relu behind {name}", STEPS, conv1d(4, 3), function(turned), layer("ReLU"))
    chain(
        f"batchnorm without scale before {name}",
        STEPS,
        ACTIVE,
        layer("BatchNormalization", scale=False),
        function(turned),
        dense(3),
    )
    chain(
        f"batchnorm without shift before {name}",
        STEPS,
        ACTIVE,
        layer("BatchNormalization", center=False),
        function(turned),
        dense(3),
    )
for name in (
    "last",
    "backwards",
    "padded",
    "summed",
    "greatest",
    "sum of slices",
    "joined slices",
    "averaged",
    "twice",
):
    chain(f"open steps before {name}", (None, 4), ACTIVE, BN, function(TURNED[name]), dense(3))
    chain(
        f"masked before {name}",
        STEPS,
        layer("Masking"),
        dense(4, activation="tanh"),
        BN,
        function(TURNED[name]),
        dense(3),
    )

chain("channels across a dense", STEPS, ACTIVE, BN, function(swapped), dense(3))
chain("channels across a wide dense", STEPS, ACTIVE, BN, function(swapped), dense(80))
chain("channels across an active dense", STEPS, ACTIVE, BN, function(swapped), dense(3, activation="tanh"))
chain("channels across a dense, smallest", STEPS, ACTIVE, BN, function(swapped), dense(3), target="size")
chain("two axes across a dense", (3, 4, 2), layer("Dense", 4, activation="tanh"), own_norm([1, 2]), dense(3))
chain("channels across a convolution", STEPS, ACTIVE, BN, function(swapped), conv1d(3, 1))
chain(
    "channels across a dense with a function of its own",
    STEPS,
    ACTIVE,
    BN,
    function(swapped),
    dense(3, activation=squared_and_more),
)
chain("masked rows across a dense", (4, 4), MASK, dense(4, activation="tanh"), AXIS_1, dense(3), layer("LSTM", 2))
chain("a repeated vector", (4,), dense(4), function(indexed("repeat", index=2, axis=1)), BN, TANH)
chain(
    "mean by a function before a bn that stays",
    STEPS,
    conv1d(4, 3),
    function(reduced("mean", axis=1)),
    BN,
    TANH,
    target="averages",
)
chain(
    "halves of open steps", (None, 4), ACTIVE, BN, function(lambda x: indexed("split", index=2, axis=1)(x)[0]), dense(3)
)


@counterexample()
def a_joint_of_a_batchnorm_that_is_an_output(keras: Any) -> Any:
    inputs = keras.Input(STEPS)
    x = through(keras, inputs, ACTIVE, BN)
    return keras.Model(inputs, [through(keras, joined([x, x], 1), dense(3)), x])


chain(
    "an image padded to a shape",
    (4, 6, 3),
    layer("Conv2D", 3, 1, activation="tanh"),
    BN,
    layer("Resizing", 3, 3, interpolation="bilinear"),
    layer("Conv2D", 2, 1),
)


@counterexample()
def a_batchnorm_that_waits_for_a_constant(keras: Any) -> Any:
    inputs = keras.Input(STEPS)
    x = through(keras, inputs, ACTIVE, BN, function(lambda x: 2.0 * x[:, -1] + 1.0))
    return keras.Model(inputs, through(keras, x, dense(3)))


@counterexample()
def branches_with_two_scales(keras: Any) -> Any:
    inputs = keras.Input(STEPS)
    x = through(keras, inputs, ACTIVE)
    one, other = through(keras, x, BN), through(keras, x, BN)
    return keras.Model(inputs, through(keras, keras.layers.Add()([one, other]), dense(3)))


@counterexample()
def a_multiple_that_is_seen_elsewhere(keras: Any) -> Any:
    inputs = keras.Input(STEPS)
    half = 0.5 * through(keras, inputs, ACTIVE)
    return keras.Model(inputs, [through(keras, half + half, BN, TANH), through(keras, half, TANH)])


@counterexample()
def a_multiple_that_is_an_output(keras: Any) -> Any:
    inputs = keras.Input(STEPS)
    x = through(keras, inputs, ACTIVE)
    half = 0.5 * x
    return keras.Model(inputs, [through(keras, x + half, BN, TANH), half])


@counterexample()
def a_sum_behind_a_batchnorm_that_is_an_output(keras: Any) -> Any:
    inputs = keras.Input(STEPS)
    x = through(keras, inputs, ACTIVE, BN)
    return keras.Model(inputs, [through(keras, x[:, 1:] + x[:, :-1], dense(3)), x])


@counterexample()
def a_padded_resize(keras: Any) -> Any:
    inputs = keras.Input((4, 6, 3))
    x = through(keras, inputs, layer("Conv2D", 3, 1, activation="tanh"), BN)
    if of_keras_3(x):
        x = keras.ops.image.resize(x, (5, 5), pad_to_aspect_ratio=True, data_format="channels_last")
    return keras.Model(inputs, through(keras, x, layer("Conv2D", 2, 1)))


def convolved(x: Any) -> Any:
    """A convolution by a function, with a kernel of constants."""
    kernel = np.random.default_rng(3).normal(size=(3, 3, 4, 5)).astype("float32")
    if of_keras_3(x):
        import keras

        return keras.ops.conv(x, kernel)
    return tf.nn.conv2d(x, kernel, 1, "VALID")


chain("convolution by a function", (6, 6, 4), function(convolved), BN, layer("ReLU"))
