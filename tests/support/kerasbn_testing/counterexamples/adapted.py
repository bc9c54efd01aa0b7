"""Layers with low-rank weights beside their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from patterns.pattern import BN, conv

from kerasbn_testing.counterexamples.building import AXIS_1, RELU, TANH, VECTOR, enter, through


def adapted(name: str, build: Callable[[Any, Any], Any], target: str = "latency") -> None:
    """A layer with low-rank weights beside its own, where Keras has them."""

    def made(keras: Any) -> Any:
        def tuned(layer: Any, x: Any) -> Any:
            y = layer(x)
            if hasattr(layer, "enable_lora"):
                layer.enable_lora(2)
            return y

        return build(keras, tuned)

    enter(name, made, target)


def _adapted_dense(keras: Any, tuned: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = through(keras, tuned(keras.layers.Dense(4), through(keras, inputs, TANH, BN)), BN, TANH)
    return keras.Model(inputs, x)


def _adapted_embedding(keras: Any, tuned: Any) -> Any:
    inputs = keras.Input((4,), dtype="int32")
    return keras.Model(inputs, through(keras, tuned(keras.layers.Embedding(9, 4), inputs), BN, TANH))


def _adapted_branches(keras: Any, tuned: Any) -> Any:
    inputs = keras.Input(VECTOR)
    return keras.Model(
        inputs, keras.layers.Add()([tuned(keras.layers.Dense(4), inputs), keras.layers.Dense(4)(inputs)])
    )


adapted("adapted dense", _adapted_dense)
adapted("adapted embedding", _adapted_embedding)
adapted("adapted branches", _adapted_branches)


def _adapted_convolution(*before: Any, behind: tuple[Any, ...] = (), **options: Any) -> Callable[[Any, Any], Any]:
    """A convolution with a BatchNorm around it, or next to another convolution."""

    def build(keras: Any, tuned: Any) -> Any:
        inputs = keras.Input((2, 2, 16))
        convolution = keras.layers.Conv2D(3, 3, padding="same", **options)
        return keras.Model(inputs, through(keras, tuned(convolution, through(keras, inputs, *before)), *behind, TANH))

    return build


def _adapted_before_two(keras: Any, tuned: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = tuned(keras.layers.Dense(4), inputs)
    return keras.Model(inputs, [through(keras, x, BN, TANH), through(keras, x, BN, TANH)])


def _adapted_across(keras: Any, tuned: Any) -> Any:
    inputs = keras.Input((4, 4))
    return keras.Model(inputs, tuned(keras.layers.Dense(3), through(keras, inputs, TANH, AXIS_1)))


adapted("adapted dense across the channels", _adapted_across)
adapted("adapted convolution behind bn", _adapted_convolution(TANH, BN))
adapted("adapted convolution before another", _adapted_convolution(behind=(conv(1, 1),)))
adapted("adapted dense before two norms", _adapted_before_two)
adapted("ones into an adapted convolution", _adapted_convolution(conv(16, 1), RELU, BN), "ops")
