"""Layers and values that several others see, inputs of other types."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from patterns.pattern import BN, conv, dense, layer

from kerasbn_testing.counterexamples.building import (
    AXIS_1,
    RELU,
    SEQUENCE,
    TANH,
    TRAINED,
    VECTOR,
    counterexample,
    through,
)


@counterexample()
def several_uses(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = keras.layers.Dense(4)(inputs)
    return keras.Model(inputs, [through(keras, x, BN, TANH), through(keras, x, TANH)])


@counterexample()
def two_norms_one_elsewhere(keras: Any) -> Any:
    inputs = keras.Input((4, 4))
    x = keras.layers.Dense(4)(inputs)
    return keras.Model(inputs, [through(keras, x, BN, TANH), through(keras, x, AXIS_1, TANH)])


@counterexample()
def two_norms_and_output(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = keras.layers.Dense(4)(inputs)
    return keras.Model(inputs, [through(keras, x, BN, TANH), through(keras, x, BN, TANH), x])


@counterexample()
def two_norms_of_an_activation(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = keras.layers.Dense(4, activation="tanh")(inputs)
    return keras.Model(inputs, [through(keras, x, BN, TANH), through(keras, x, BN, TANH)])


@counterexample()
def output_is_output(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = through(keras, inputs, TANH, BN)
    return keras.Model(inputs, [x, keras.layers.Dense(3)(x)])


@counterexample()
def output_of_the_producer(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = keras.layers.Dense(4)(inputs)
    return keras.Model(inputs, [x, through(keras, x, BN, TANH)])


@counterexample()
def squared(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = through(keras, inputs, TANH, BN)
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Multiply()([x, x])))


@counterexample()
def doubled(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = through(keras, inputs, dense(4))
    return keras.Model(inputs, through(keras, keras.layers.Add()([x, x]), BN, TANH))


@counterexample()
def branches_of_two_values(keras: Any) -> Any:
    one, two = keras.Input(VECTOR), keras.Input(VECTOR)
    sums = keras.layers.Add()([through(keras, one, dense(4), BN), through(keras, two, dense(4))])
    return keras.Model([one, two], through(keras, sums, TANH))


@counterexample()
def branch_seen_elsewhere(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = through(keras, inputs, dense(4))
    return keras.Model(inputs, [keras.layers.Add()([through(keras, inputs, dense(4)), x]), through(keras, x, TANH)])


@counterexample("size")
def one_layer_at_two_places(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    layer = keras.layers.Dense(4)
    return keras.Model(inputs, layer(through(keras, layer(inputs), BN, RELU)))


@counterexample("ops")
def ones_of_a_shared_layer(keras: Any) -> Any:
    inputs = keras.Input((6, 6, 4))
    shared = keras.layers.Conv2D(4, 3, padding="same")
    return keras.Model(inputs, through(keras, shared(through(keras, shared(inputs), RELU, BN)), TANH))


@counterexample("ops")
def ones_seen_elsewhere(keras: Any) -> Any:
    inputs = keras.Input((6, 6, 4))
    x = through(keras, inputs, conv(4, 2), RELU)
    return keras.Model(inputs, [through(keras, x, BN, conv(3, 3, padding="same")), through(keras, x, TANH)])


@counterexample("ops")
def ones_into_two(keras: Any) -> Any:
    inputs = keras.Input((6, 6, 4))
    x = through(keras, inputs, conv(4, 2), RELU, BN)
    return keras.Model(inputs, [through(keras, x, conv(3, 3, padding="same")), through(keras, x, TANH)])


@counterexample()
def embedding_along_time(keras: Any) -> Any:
    inputs = keras.Input((4,), dtype="int32")
    return keras.Model(inputs, through(keras, inputs, layer("Embedding", 9, 4), AXIS_1, TANH))


@counterexample()
def one_layer_before_three(keras: Any) -> Any:
    """One Dense called three times, twice before equal BatchNorms and once before none."""
    inputs = keras.Input(VECTOR)
    dense, norm = keras.layers.Dense(4), keras.layers.BatchNormalization()
    x = norm(dense(through(keras, norm(dense(inputs)), TANH)))
    return keras.Model(inputs, dense(through(keras, x, TANH)))


@counterexample()
def two_layers_of_one_class(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    norm = keras.layers.BatchNormalization()
    ends = [through(keras, norm(through(keras, inputs, each)), TANH) for each in (TANH, layer("Activation", "elu"))]
    return keras.Model(inputs, ends)


@counterexample()
def one_layer_twice_in_a_row(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    shared = keras.layers.Dense(4)
    return keras.Model(inputs, through(keras, shared(shared(inputs)), BN))


@counterexample()
def whole_numbers(keras: Any) -> Any:
    inputs = keras.Input((6, 6, 3), dtype="uint8")
    return keras.Model(inputs, through(keras, inputs, layer("Rescaling", 0.1, -1.0), conv(4, 3), BN))


@counterexample()
def states_of_an_lstm(keras: Any) -> Any:
    inputs = keras.Input(SEQUENCE)
    state = through(keras, inputs, layer("GlobalAveragePooling1D"), TANH, BN)
    return keras.Model(inputs, keras.layers.LSTM(4)(inputs, initial_state=[state, state]))


@counterexample()
def whole_numbers_times_two(keras: Any) -> Any:
    inputs = keras.Input(VECTOR, dtype="int32")
    return keras.Model(inputs, keras.layers.Embedding(40, 3)(inputs * 2))


@counterexample()
def maximum_with_a_constant(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    maximum = getattr(keras, "ops", None) or tf.math
    return keras.Model(inputs, through(keras, maximum.maximum(through(keras, inputs, dense(4)), 0.5), TANH))


@counterexample()
def sum_by_name(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = through(keras, inputs, dense(4))
    return keras.Model(
        inputs, through(keras, tf.math.add(x=x, y=2.0) if keras.__name__ == "tf_keras" else x + 2.0, TANH)
    )


@counterexample()
def product_with_a_tensor(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    return keras.Model(inputs, through(keras, through(keras, inputs, dense(4)) * tf.constant(2.0), TANH))


@counterexample()
def sum_of_two_ranks(keras: Any) -> Any:
    inputs, others = keras.Input(VECTOR), keras.Input(SEQUENCE)
    x = keras.layers.Add()([through(keras, inputs, TANH, layer("Rescaling", 1.0, 0.5)), others])
    return keras.Model([inputs, others], through(keras, x, layer("Permute", (2, 1)), dense(3)))


@counterexample()
def two_norms_one_in_training_mode(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = keras.layers.Dense(4)(inputs)
    return keras.Model(inputs, [through(keras, x, BN, TANH), through(keras, x, TRAINED, TANH)])


@counterexample()
def norm_and_rescaling(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = keras.layers.Dense(4)(inputs)
    return keras.Model(inputs, [through(keras, x, BN, TANH), through(keras, x, layer("Rescaling", 2.0), TANH)])


@counterexample()
def map_of_a_shared_convolution(keras: Any) -> Any:
    inputs = keras.Input((1, 1, 16))
    shared = keras.layers.Conv2D(16, 3, padding="same")
    return keras.Model(inputs, through(keras, shared(through(keras, shared(inputs), TANH, BN)), TANH))


@counterexample()
def bytes_times_two(keras: Any) -> Any:
    inputs = keras.Input(VECTOR, dtype="uint8")
    return keras.Model(inputs, keras.layers.Dense(3)(inputs * 200))


def of_unknown_rank(keras: Any, x: Any) -> Any:
    """The vector as it is; in tf_keras, which alone has such tensors, without its rank."""
    if keras.__name__ != "tf_keras":
        return x
    return tf.reshape(x, tf.concat([tf.shape(x), tf.ones([tf.size(x) * 0 + 1], "int32")], 0)[:2])


@counterexample()
def product_of_unknown_rank(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    return keras.Model(inputs, of_unknown_rank(keras, inputs) * 2.0)


@counterexample()
def sum_of_unknown_rank(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    x = through(keras, inputs, TANH, layer("Rescaling", 1.0, 0.5))
    return keras.Model(inputs, through(keras, x + of_unknown_rank(keras, inputs), TANH))


@counterexample()
def dense_by_keyword(keras: Any) -> Any:
    inputs = keras.Input(VECTOR)
    return keras.Model(inputs, keras.layers.Dense(3)(inputs=through(keras, inputs, TANH, BN)))
