"""Attention behind a BatchNorm, and before one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from patterns.pattern import BN, Make

from kerasbn_testing.counterexamples.building import AXIS_1, SEQUENCE, TANH, enter, through


def attending(name: str, attend: Callable[[Any, Any], Any], norm: Make = BN, **options: Any) -> None:
    """A BatchNorm, then attention."""

    def build(keras: Any) -> Any:
        inputs = keras.Input(SEQUENCE)
        layer = keras.layers.MultiHeadAttention(2, 4, **options)
        return keras.Model(inputs, attend(layer, through(keras, inputs, TANH, norm)))

    enter(name, build)


attending("attention along time", lambda layer, x: layer(x, x), AXIS_1)
attending("attention without bias", lambda layer, x: layer(x, x), use_bias=False)
attending("attention in training mode", lambda layer, x: layer(x, x, training=True))
attending("attention that sees a mask", lambda layer, x: layer(x, x, attention_mask=x))
attending("attention with a key", lambda layer, x: layer(x, x, key=x))
attending("attention, then along time", lambda layer, x: through_keras(layer, layer(x, x), axis=1))
attending("attention without bias, then bn", lambda layer, x: through_keras(layer, layer(x, x)), use_bias=False)
attending("scores of an attention", lambda layer, x: through_keras(layer, layer(x, x, return_attention_scores=True)[1]))


def through_keras(like: Any, x: Any, axis: int = -1) -> Any:
    """A BatchNorm and a tanh of the same Keras as a layer."""
    layers = __import__(type(like).__module__.partition(".")[0]).layers
    return layers.Activation("tanh")(layers.BatchNormalization(axis=axis)(x))


attending("attention of more axes, then bn", lambda layer, x: through_keras(layer, layer(x, x)), output_shape=(2, 3))


def attending_two(name: str, attend: Callable[[Any, Any, Any], Any]) -> None:
    """Attention between the input and what comes of a BatchNorm."""

    def build(keras: Any) -> Any:
        inputs = keras.Input(SEQUENCE)
        return keras.Model(
            inputs, attend(keras.layers.MultiHeadAttention(2, 4), inputs, through(keras, inputs, TANH, BN))
        )

    enter(name, build)


attending_two("attention to a norm", lambda layer, x, norm: layer(x, norm))
attending_two("attention of a norm", lambda layer, x, norm: layer(norm, x))
attending_two("attention to the key of a norm", lambda layer, x, norm: layer(x, x, key=norm))
attending_two("attention to the value of a norm", lambda layer, x, norm: layer(x, norm, key=x))


def attending_in_groups(name: str, attend: Callable[[Any, Any, Any], Any]) -> None:
    """Gated attention of grouped queries between the input and what comes of a BatchNorm; tf_keras has none."""

    def build(keras: Any) -> Any:
        inputs = keras.Input(SEQUENCE)
        grouped = getattr(keras.layers, "GroupQueryAttention", None)
        layer = keras.layers.MultiHeadAttention(2, 4) if grouped is None else grouped(4, 4, 2, use_gate=True)
        return keras.Model(inputs, attend(layer, inputs, through(keras, inputs, TANH, BN)))

    enter(name, build)


attending_in_groups("grouped attention to a norm", lambda layer, x, norm: layer(x, norm))
attending_in_groups("grouped attention of a norm", lambda layer, x, norm: layer(norm, x))
