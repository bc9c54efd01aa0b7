"""Cells of one's own, and networks with a time axis."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from own_code_networks.network import network, operations


@network
def cell_with_a_batchnorm(keras: Any) -> Any:
    """A recurrent cell that normalizes what it reads at every step."""
    layers = keras.layers

    class Cell(layers.Layer):
        def __init__(self, units: int, **options: Any) -> None:
            super().__init__(**options)
            self.units = self.state_size = self.output_size = units
            self.read, self.again = layers.Dense(units), layers.Dense(units, use_bias=False)
            self.norm = layers.BatchNormalization()

        def build(self, shape: Any) -> None:
            self.read.build(shape)
            for layer in (self.again, self.norm):
                layer.build((shape[0], self.units))
            self.built = True

        def call(self, x: Any, states: Any, training: Any = None) -> Any:
            state = tf.tanh(self.norm(self.read(x), training=training) + self.again(states[0]))
            return state, [state]

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    inputs = keras.Input((5, 4))
    x = layers.BatchNormalization()(layers.RNN(Cell(6))(inputs))
    return keras.Model(inputs, layers.Dense(2)(x))


@network
def cell_of_weights(keras: Any) -> Any:
    """A minimal gated unit with weights of its own, that gives the whole sequence, between two BatchNorms."""
    layers = keras.layers

    class MinimalGatedCell(layers.Layer):
        def __init__(self, units: int, **options: Any) -> None:
            super().__init__(**options)
            self.units = self.state_size = self.output_size = units

        def build(self, shape: Any) -> None:
            size = (shape[-1] + self.units, self.units)
            self.forget = self.add_weight(name="forget", shape=size, initializer="glorot_uniform")
            self.candidate = self.add_weight(name="candidate", shape=size, initializer="glorot_uniform")
            self.built = True

        def call(self, x: Any, states: Any) -> Any:
            before = states[0]
            gate = tf.sigmoid(tf.matmul(tf.concat([x, before], -1), self.forget))
            new = tf.tanh(tf.matmul(tf.concat([x, gate * before], -1), self.candidate))
            state = (1.0 - gate) * before + gate * new
            return state, [state]

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    inputs = keras.Input((6, 4))
    x = layers.RNN(MinimalGatedCell(5), return_sequences=True)(layers.BatchNormalization()(inputs))
    return keras.Model(inputs, layers.Dense(2)(layers.BatchNormalization()(x)))


@network
def cell_with_two_states(keras: Any) -> Any:
    """A cell that keeps its state and a slow mean of it."""
    layers = keras.layers

    class SlowCell(layers.Layer):
        def __init__(self, units: int, **options: Any) -> None:
            super().__init__(**options)
            self.units = self.output_size = units
            self.state_size = [units, units]
            self.read, self.again = layers.Dense(units), layers.Dense(units)

        def build(self, shape: Any) -> None:
            self.read.build(shape)
            self.again.build((shape[0], self.units))
            self.built = True

        def call(self, x: Any, states: Any) -> Any:
            fast, slow = states
            fast = tf.nn.relu(self.read(x) + 0.5 * self.again(fast))
            slow = 0.9 * slow + 0.1 * fast
            return slow, [fast, slow]

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    inputs = keras.Input((6, 4))
    x = layers.RNN(SlowCell(5))(layers.BatchNormalization()(inputs))
    return keras.Model(inputs, layers.Dense(2)(layers.BatchNormalization()(x)))


@network
def loop_over_frames(keras: Any) -> Any:
    """A layer with a loop of Python over time: each frame through one Dense and one BatchNorm."""
    layers = keras.layers

    class Frames(layers.Layer):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.dense, self.norm = layers.Dense(6), layers.BatchNormalization()

        def call(self, x: Any, training: Any = None) -> Any:
            frames = [tf.nn.relu(self.norm(self.dense(x[:, n]), training=training)) for n in range(x.shape[1])]
            return tf.stack(frames, axis=1)

    inputs = keras.Input((4, 5))
    return keras.Model(inputs, layers.Dense(2)(layers.BatchNormalization()(Frames()(inputs))))


@network
def encoder_decoder_with_states(keras: Any) -> Any:
    """The encoder's states start the decoder; a BatchNorm before each and one behind."""
    layers = keras.layers
    inputs = [keras.Input((6, 5), name="encoder"), keras.Input((4, 3), name="target")]
    read, written = (layers.BatchNormalization()(tensor) for tensor in inputs)
    _, *states = layers.LSTM(7, return_state=True)(read)
    x = layers.LSTM(7, return_sequences=True)(written, initial_state=states)
    return keras.Model(inputs, layers.TimeDistributed(layers.Dense(3))(layers.BatchNormalization()(x)))


@network
def masked_numbers(keras: Any) -> Any:
    """``Masking``, a BatchNorm, a GRU, and a mean over time that heeds the mask."""
    layers = keras.layers
    inputs = keras.Input((9, 5))
    x = layers.BatchNormalization()(layers.Masking()(inputs))
    x = layers.BatchNormalization()(layers.GRU(6, return_sequences=True)(x))
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))


@network
def relative_positions(keras: Any) -> Any:
    """Attention with a learnt bias for each distance, and BatchNorms around it."""
    ops, layers = operations(keras), keras.layers

    class Biased(layers.Layer):
        def build(self, shape: Any) -> None:
            self.length = shape[1]
            self.bias = self.add_weight(name="table", shape=(2 * self.length - 1,), initializer="random_normal")

        def call(self, x: Any) -> Any:
            order = tf.range(self.length)
            bias = tf.gather(tf.convert_to_tensor(self.bias), order[:, None] - order[None] + self.length - 1)
            return tf.matmul(tf.nn.softmax(tf.matmul(x, x, transpose_b=True) + bias), x)

    inputs = keras.Input((6, 5))
    x = Biased()(layers.BatchNormalization()(layers.Dense(8)(inputs)))
    return keras.Model(inputs, layers.Dense(2)(ops.mean(layers.BatchNormalization()(x), axis=1)))
