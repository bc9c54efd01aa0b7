"""Functions and arithmetic between layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from own_code_networks.network import network, operations


@network
def python_operators(keras: Any) -> Any:
    """``-``, ``/``, ``**`` and ``abs`` with numbers, around two BatchNorms."""
    ops, layers = operations(keras), keras.layers
    inputs = keras.Input((10,))
    x = layers.BatchNormalization()(layers.Dense(8)(1 - (inputs - 0.5) / 0.25))
    x = layers.BatchNormalization()(-(ops.abs(x) ** 2) * 3.0 + 1)
    return keras.Model(inputs, layers.Dense(2)(x))


@network
def numbers_in_a_chain(keras: Any) -> Any:
    """Sums, products and a matrix behind a BatchNorm, and another behind them."""
    ops, layers = operations(keras), keras.layers
    inputs = keras.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(inputs))
    x = -((x + 1.0) * 2.0 / 3.0 - 0.5)
    x = ops.matmul(x, _drawn(4, 4))
    return keras.Model(inputs, layers.BatchNormalization()(x))


@network
def film(keras: Any) -> Any:
    """A second input scales and shifts the channels behind a BatchNorm that has neither gamma nor beta."""
    layers = keras.layers
    image, other = keras.Input((8, 8, 3), name="image"), keras.Input((5,), name="other")
    x = layers.BatchNormalization(center=False, scale=False)(layers.Conv2D(8, 3)(image))
    scale = layers.Reshape((1, 1, 8))(layers.Dense(8)(other))
    shift = layers.Reshape((1, 1, 8))(layers.Dense(8)(other))
    x = layers.BatchNormalization()(layers.ReLU()(x * scale + shift))
    return keras.Model([image, other], layers.Conv2D(2, 1)(x))


@network
def reflect_padding(keras: Any) -> Any:
    """A reflecting pad by the function."""
    ops, layers = operations(keras), keras.layers
    inputs = keras.Input((8, 8, 3))
    x = ops.pad(inputs, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    x = layers.LeakyReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3)(x)))
    return keras.Model(inputs, layers.Conv2D(4, 3)(layers.BatchNormalization()(x)))


@network
def leaky_relu_by_where(keras: Any) -> Any:
    """A leaky ReLU written with ``where``, between two BatchNorms."""
    ops, layers = operations(keras), keras.layers
    inputs = keras.Input((12,))
    x = layers.BatchNormalization()(layers.Dense(8)(inputs))
    x = ops.where(x > 0, x, 0.1 * x)
    return keras.Model(inputs, layers.Dense(3)(layers.BatchNormalization()(x)))


@network
def mish_function(keras: Any) -> Any:
    """An activation of one's own, as a layer and in a convolution."""
    layers = keras.layers

    def mish(x: Any) -> Any:
        return x * tf.math.tanh(tf.math.softplus(x))

    inputs = keras.Input((8, 8, 3))
    x = layers.Activation(mish)(layers.BatchNormalization()(layers.Conv2D(6, 3)(inputs)))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, activation=mish)(x))
    return keras.Model(inputs, layers.Flatten()(x))


@network
def convolution_by_function(keras: Any) -> Any:
    """A constant kernel, convolved by the function."""
    ops, layers = operations(keras), keras.layers
    inputs = keras.Input((8, 8, 3))
    x = layers.ReLU()(layers.BatchNormalization()(ops.conv(inputs, _drawn(3, 3, 3, 5))))
    return keras.Model(inputs, layers.Conv2D(2, 1)(x))


@network
def einsum_with_a_matrix(keras: Any) -> Any:
    """A matrix that is multiplied by ``einsum``, between two BatchNorms."""
    ops, layers = operations(keras), keras.layers
    inputs = keras.Input((6, 8))
    x = ops.einsum("btc,cd->btd", layers.BatchNormalization()(inputs), _drawn(8, 5))
    return keras.Model(inputs, layers.Dense(2)(layers.BatchNormalization()(x)))


@network
def spatial_attention(keras: Any) -> Any:
    """CBAM: mean and maximum over the channels weigh the pixels."""
    ops, layers = operations(keras), keras.layers
    inputs = keras.Input((8, 8, 3))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(inputs)))
    weights = ops.concatenate([ops.mean(x, -1, keepdims=True), ops.max(x, -1, keepdims=True)], -1)
    weights = layers.Conv2D(1, 7, padding="same", activation="sigmoid", use_bias=False)(weights)
    return keras.Model(inputs, layers.GlobalMaxPooling2D()(layers.BatchNormalization()(x * weights)))


@network
def attention_pooling(keras: Any) -> Any:
    """A sum over time with learnt weights."""
    ops, layers = operations(keras), keras.layers
    inputs = keras.Input((12, 6))
    x = layers.BatchNormalization()(layers.Conv1D(8, 3, padding="same")(inputs))
    weights = layers.Softmax(axis=1)(layers.Dense(1)(x))
    x = layers.BatchNormalization()(ops.sum(x * weights, axis=1))
    return keras.Model(inputs, layers.Dense(3)(x))


@network
def highway(keras: Any) -> Any:
    """Gates that mix a branch with what it came from."""
    layers = keras.layers
    inputs = keras.Input((10,))
    x = layers.Dense(8)(inputs)
    for _ in range(2):
        gate = layers.Dense(8, activation="sigmoid")(x)
        branch = layers.ReLU()(layers.BatchNormalization()(layers.Dense(8)(x)))
        x = gate * branch + (1.0 - gate) * x
    return keras.Model(inputs, layers.BatchNormalization()(x))


@network
def split_stack_mean(keras: Any) -> Any:
    """Channels in three parts, stacked, and averaged, between two BatchNorms."""
    ops, layers = operations(keras), keras.layers
    inputs = keras.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.Conv2D(6, 3, padding="same")(inputs))
    x = ops.mean(ops.stack(ops.split(x, 3, axis=-1), axis=-1), axis=-1)
    return keras.Model(inputs, layers.Conv2D(2, 1)(layers.BatchNormalization()(x)))


@network
def focus(keras: Any) -> Any:
    """YOLOv5's first block: every second pixel by slices, SiLU by hand, a pooling of stride 1."""
    ops, layers = operations(keras), keras.layers
    inputs = keras.Input((8, 8, 3))
    corners = [inputs[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(layers.Concatenate()(corners))
    x = layers.BatchNormalization()(x)
    x = layers.MaxPooling2D(3, 1, padding="same")(x * ops.sigmoid(x))
    return keras.Model(inputs, layers.Conv2D(2, 1)(layers.BatchNormalization()(x)))


@network
def patches_by_function(keras: Any) -> Any:
    """Patches of 2 x 2, a Dense and a BatchNorm."""
    ops, layers = operations(keras), keras.layers
    inputs = keras.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.Dense(8)(ops.image.extract_patches(inputs, 2)))
    return keras.Model(inputs, layers.Dense(3)(layers.ReLU()(x)))


@network
def resize_and_concatenate(keras: Any) -> Any:
    """A resize by the function, a BatchNorm behind it, beside the image."""
    ops, layers = operations(keras), keras.layers
    inputs = keras.Input((12, 12, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, strides=2, padding="same")(inputs))
    x = layers.BatchNormalization()(ops.image.resize(x, (12, 12)))
    return keras.Model(inputs, layers.Conv2D(2, 1)(layers.Concatenate()([x, inputs])))


@network
def cumulative_sum(keras: Any) -> Any:
    """A sum along the features, between two BatchNorms."""
    ops, layers = operations(keras), keras.layers
    inputs = keras.Input((12,))
    x = ops.cumsum(layers.BatchNormalization()(layers.Dense(8)(inputs)), axis=-1)
    return keras.Model(inputs, layers.Dense(2)(layers.BatchNormalization()(x)))


@network
def three_largest(keras: Any) -> Any:
    """The three largest values behind a BatchNorm."""
    ops, layers = operations(keras), keras.layers
    inputs = keras.Input((12,))
    values = ops.top_k(layers.BatchNormalization()(layers.Dense(8)(inputs)), 3)[0]
    return keras.Model(inputs, values)


@network
def table_of_constants(keras: Any) -> Any:
    """Rows of a constant table by ids, as a frozen embedding."""
    ops, layers = operations(keras), keras.layers
    ids = keras.Input((4,), dtype="int32")
    x = ops.take(tf.constant(_drawn(20, 6)), ids, axis=0)
    return keras.Model(ids, layers.Flatten()(layers.BatchNormalization()(layers.Conv1D(5, 2)(x))))


@network
def whole_numbers_cast(keras: Any) -> Any:
    """An image of whole numbers, cast and divided."""
    ops, layers = operations(keras), keras.layers
    inputs = keras.Input((8, 8, 3), dtype="int32")
    x = layers.BatchNormalization()(ops.cast(inputs, "float32") / 20.0)
    return keras.Model(inputs, layers.Conv2D(4, 3)(x))


@network
def squeeze_excite_by_hand(keras: Any) -> Any:
    """Means over the image by the function, two matrices, and a product."""
    ops, layers = operations(keras), keras.layers
    inputs = keras.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(inputs))
    weights = ops.relu(layers.Dense(2)(ops.mean(x, axis=(1, 2), keepdims=True)))
    x = layers.BatchNormalization()(x * ops.sigmoid(layers.Dense(8)(weights)))
    return keras.Model(inputs, layers.Conv2D(2, 1)(layers.ReLU()(x)))


def _drawn(*shape: int) -> np.ndarray:
    """A constant."""
    return np.random.default_rng(0).normal(size=shape).astype("float32")
