"""Arithmetic with constants of every shape."""

from __future__ import annotations

from typing import Any

import numpy as np
from patterns.pattern import BN, dense, layer

from kerasbn_testing.counterexamples.building import SEQUENCE, TANH, Build, counterexample, enter, function, through

CONSTANTS = {
    "for each position": np.arange(1.0, 5)[:, None], "for each element": np.arange(1.0, 17).reshape(4, 4),
    "for each sample": np.arange(1.0, 3)[:, None, None], "that is zero": 0.0, "for each channel": np.arange(1.0, 5),
}  # fmt: skip
OPERATORS = {"+": lambda x, c: x + c, "*": lambda x, c: x * c, "-": lambda x, c: x - c, "/": lambda x, c: x / (c + 1.0)}
OPERATORS |= {"from": lambda x, c: 2.5 - x * c, "inverse": lambda x, c: 2.5 / (x * x + 1.0) + c}


def with_constant(sign: str, which: str) -> Build:
    """A constant between a Dense and a Dense."""

    def build(keras: Any) -> Any:
        inputs = keras.Input(SEQUENCE, batch_size=2)
        constant = np.asarray(CONSTANTS[which], "float32")
        x = OPERATORS[sign](through(keras, inputs, dense(4)), constant if constant.ndim else float(constant))
        return keras.Model(inputs, through(keras, x, BN, TANH))

    return build


for sign in OPERATORS:
    for which in CONSTANTS:
        enter(f"{sign} a constant {which}", with_constant(sign, which))


@counterexample()
def constant_for_a_size_unknown(keras: Any) -> Any:
    inputs = keras.Input((None, 4))
    x = through(keras, inputs, dense(4)) * np.ones((1, 1), "float32")
    return keras.Model(inputs, through(keras, x + 1.5, layer("Permute", (2, 1)), function(lambda x: x * 2.0), TANH))


@counterexample()
def constant_for_each_sample_then_flat(keras: Any) -> Any:
    inputs = keras.Input(SEQUENCE, batch_size=2)
    x = through(keras, inputs, TANH) * np.asarray(CONSTANTS["for each sample"], "float32")
    return keras.Model(inputs, through(keras, x, layer("Flatten"), dense(3)))
