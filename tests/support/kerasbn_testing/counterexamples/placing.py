"""ReLUs behind what does not compute, which move to where they are fused, and those that stay (rule 14)."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from patterns.pattern import BN, conv, conv1d, dense, layer

from kerasbn_testing.counterexamples.building import (
    CONCATENATE,
    IMAGE,
    MASK,
    RELU,
    SEQUENCE,
    TANH,
    VECTOR,
    chain,
    counterexample,
    through,
    two_way,
)

JOINED = [conv(4, 2)], [conv(3, 2)]
UP, TRANSPOSED = layer("UpSampling2D", 2), layer("Conv2DTranspose", 3, 3, bias_initializer="ones")
two_way("relu by name of two", IMAGE, CONCATENATE, *JOINED, layer("Activation", "relu"), conv(2, 1))
two_way("tanh by name of two", IMAGE, CONCATENATE, *JOINED, TANH, conv(2, 1))
two_way("leaky relu of two", IMAGE, CONCATENATE, *JOINED, layer("ReLU", negative_slope=0.5), conv(2, 1))
two_way("relu of two with another bound", IMAGE, CONCATENATE, *JOINED, layer("ReLU", 4.0), conv(2, 1))
two_way("relu behind a nearest resize of two", IMAGE, CONCATENATE, *JOINED, UP, RELU, conv(2, 1))
two_way("relu of two transposed", IMAGE, CONCATENATE, [TRANSPOSED], [TRANSPOSED], RELU, conv(2, 1))
two_way("relu of an active one", IMAGE, CONCATENATE, [conv(4, 2, activation="tanh")], [conv(3, 2)], RELU, conv(2, 1))
two_way("relu of an active transposed one", IMAGE, CONCATENATE,
        [TRANSPOSED, layer("Conv2DTranspose", 3, 3, activation="tanh")], [layer("Conv2DTranspose", 3, 5)],
        RELU, conv(2, 1))  # fmt: skip
VOLUMETRIC = layer("Conv3D", 2, 2)
two_way("relu of two of which none fuses", (4, 4, 4, 2), CONCATENATE, [VOLUMETRIC], [VOLUMETRIC], RELU, VOLUMETRIC)
chain("map before a mask", (2, 16), MASK, TANH, BN, conv1d(3, 3, padding="same"), layer("LSTM", 3))


@counterexample()
def relu_function_of_two_behind_a_mask(keras: Any) -> Any:
    """A function ends a mask in tf_keras, where a layer lets it pass."""
    inputs = keras.Input(SEQUENCE)
    x = keras.layers.Concatenate()([through(keras, inputs, MASK, dense(units)) for units in (4, 3)])
    return keras.Model(inputs, keras.layers.LSTM(3)((getattr(keras, "ops", None) or tf.nn).relu(x)))


@counterexample()
def relu_of_a_joint_seen_elsewhere(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = keras.layers.Concatenate()([through(keras, inputs, dense(4)), through(keras, inputs, dense(3))])
    return keras.Model(inputs, [through(keras, x, RELU, dense(2)), through(keras, x, TANH)])


@counterexample("int8")
def relu_of_a_convolution_seen_elsewhere(keras: Any) -> Any:
    inputs = keras.Input(IMAGE)
    x = through(keras, inputs, conv(4, 2))
    return keras.Model(inputs, [through(keras, x, RELU, TANH), through(keras, x, TANH)])


def _twins(keras: Any, one: Any, two: Any) -> tuple[Any, list[Any]]:
    """The input, and two activations of a convolution."""
    inputs = keras.Input(IMAGE)
    x = through(keras, inputs, conv(4, 2))
    return inputs, [through(keras, x, one), through(keras, x, two)]


@counterexample()
def relu_twice(keras: Any) -> Any:
    inputs, pair = _twins(keras, RELU, RELU)
    return keras.Model(inputs, keras.layers.Add()([through(keras, x, conv(3, 2)) for x in pair]))


@counterexample()
def two_functions(keras: Any) -> Any:
    inputs, pair = _twins(keras, TANH, layer("Activation", "sigmoid"))
    return keras.Model(inputs, keras.layers.Add()([through(keras, x, conv(3, 2)) for x in pair]))


@counterexample()
def relu_twice_for_the_user(keras: Any) -> Any:
    inputs, pair = _twins(keras, RELU, RELU)
    return keras.Model(inputs, [through(keras, pair[0], conv(3, 2)), pair[1]])


for channels in (4, 1, None):
    chain(f"lone relu of {channels} before an average", (6, 6, channels), TANH, RELU, layer("AveragePooling2D", 2),
          TANH, target="int8")  # fmt: skip
