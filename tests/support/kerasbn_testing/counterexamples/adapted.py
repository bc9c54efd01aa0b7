"""Layers with low-rank weights beside their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from patterns.pattern import BN

from kerasbn_testing.counterexamples.building import TANH, VECTOR, enter, through


def adapted(name: str, build: Callable[[Any, Any], Any]) -> None:
    """A layer with low-rank weights beside its own, where Keras has them."""

    def made(keras: Any) -> Any:
        def tuned(layer: Any, x: Any) -> Any:
            y = layer(x)
            if hasattr(layer, "enable_lora"):
                layer.enable_lora(2)
            return y

        return build(keras, tuned)

    enter(name, made)


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
