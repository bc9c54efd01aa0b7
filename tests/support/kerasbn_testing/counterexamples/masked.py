"""Masks: given by hand, seen by some, ended by others."""

from __future__ import annotations

from typing import Any

from patterns.pattern import BN, conv1d, dense, layer

from kerasbn_testing.counterexamples.building import (
    MASK,
    RELU,
    SEQUENCE,
    TANH,
    counterexample,
    through,
)


@counterexample()
def masked_by_hand(keras: Any) -> Any:
    inputs = keras.Input(SEQUENCE)
    mask = keras.Input((4,), dtype="bool")
    x = keras.layers.GlobalAveragePooling1D()(through(keras, inputs, dense(4)), mask=mask)
    return keras.Model([inputs, mask], through(keras, x, BN, TANH))


@counterexample()
def mask_for_a_mean_behind(keras: Any) -> Any:
    inputs, mask = keras.Input(SEQUENCE), keras.Input((4,), dtype="bool")
    x = keras.layers.GlobalAveragePooling1D()(through(keras, inputs, TANH, BN), mask=mask)
    return keras.Model([inputs, mask], keras.layers.Dense(3)(x))


@counterexample()
def branch_with_a_mask_of_its_own(keras: Any) -> Any:
    inputs, mask = keras.Input(SEQUENCE), keras.Input((4,), dtype="bool")
    norm = keras.layers.BatchNormalization()(inputs, mask=mask)
    return keras.Model([inputs, mask], through(keras, keras.layers.Add()([dense(4)(keras.layers)(inputs), norm]), TANH))


@counterexample()
def time_distributed_with_a_mask(keras: Any) -> Any:
    inputs, mask = keras.Input(SEQUENCE), keras.Input((4,), dtype="bool")
    x = keras.layers.TimeDistributed(keras.layers.Dense(3))(inputs, mask=mask)
    return keras.Model([inputs, mask], through(keras, x, BN, TANH))


@counterexample()
def shift_of_a_sequence_seen_elsewhere(keras: Any) -> Any:
    inputs = keras.Input(SEQUENCE)
    x = through(keras, inputs, MASK, dense(4), RELU, layer("BatchNormalization", scale=False))
    return keras.Model(inputs, [keras.layers.LSTM(3)(x), keras.layers.LSTM(3)(through(keras, x, TANH))])


@counterexample()
def two_behind_a_mask(keras: Any) -> Any:
    inputs = keras.Input(SEQUENCE)
    x = through(keras, inputs, MASK)
    sums = keras.layers.Add()([through(keras, x, conv1d(4, 1)), through(keras, x, conv1d(4, 1))])
    return keras.Model(inputs, through(keras, sums, BN, layer("LSTM", 3)))


@counterexample()
def one_and_itself_behind_a_mask(keras: Any) -> Any:
    inputs = keras.Input(SEQUENCE)
    x = through(keras, inputs, MASK)
    return keras.Model(
        inputs, through(keras, keras.layers.Add()([through(keras, x, dense(4)), x * 2.0]), layer("LSTM", 3))
    )


@counterexample()
def nested_behind_a_mask(keras: Any) -> Any:
    inputs, inner = keras.Input(SEQUENCE), keras.Input(SEQUENCE)
    sums = keras.layers.Add()([through(keras, inner, conv1d(4, 1)), inner])
    nested = keras.Model(inner, through(keras, sums, layer("LSTM", 3)))
    return keras.Model(inputs, nested(through(keras, inputs, MASK)))
