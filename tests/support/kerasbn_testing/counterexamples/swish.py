"""Hard swish, and what is nearly one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from patterns.pattern import Make, layer

from kerasbn_testing.counterexamples.building import TANH, VECTOR, Build, counterexample, enter, through

BEFORE_THE_GATE: dict[str, Callable[[Any], Any]] = {
    "of three": lambda x: x + 3.0,
    "of two": lambda x: x + 2.0,
    "of a product": lambda x: x * 3.0,
    "of a sum": lambda x: x + x,
}


def swish(before: Callable[[Any], Any], gate: Make) -> Build:
    """A hard swish, or nearly one, before a Dense."""

    def build(keras: Any) -> Any:
        inputs = keras.Input(VECTOR)
        x = through(keras, inputs, TANH)
        gated = through(keras, before(x), gate) * (1 / 6)
        return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Multiply()([x, gated])))

    return build


for which, before in BEFORE_THE_GATE.items():
    enter(f"hard swish {which}", swish(before, layer("ReLU", 6.0)))
enter("hard swish by name", swish(lambda x: x + 3.0, layer("Activation", "relu6")))


@counterexample()
def hard_swish_and_a_shift(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = through(keras, inputs, TANH)
    gated = keras.layers.Multiply()([x, through(keras, x + 3.0, layer("ReLU", 6.0))])
    return keras.Model(inputs, keras.layers.Dense(3)(gated + 0.5))
