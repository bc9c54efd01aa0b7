"""Layers of one's own, in functional models."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from own_code_networks.network import network, operations


@network
def conv_block_as_layer(keras: Any) -> Any:
    """Convolution, BatchNorm and activation made in the constructor."""
    layers = keras.layers

    class ConvBlock(layers.Layer):
        def __init__(self, filters: int, activation: str = "relu", **options: Any) -> None:
            super().__init__(**options)
            self.conv = layers.Conv2D(filters, 3, padding="same", use_bias=False)
            self.norm = layers.BatchNormalization()
            self.activation = layers.Activation(activation)

        def call(self, x: Any, training: Any = None) -> Any:
            return self.activation(self.norm(self.conv(x), training=training))

    inputs = keras.Input((16, 16, 3))
    x = layers.GlobalAveragePooling2D()(ConvBlock(8, "swish")(ConvBlock(8)(inputs)))
    return keras.Model(inputs, layers.Dense(3)(x))


@network
def sublayers_made_in_build(keras: Any) -> Any:
    """A list of pairs of layers, made when the shape is known, and a weight for each channel."""
    layers = keras.layers

    class Late(layers.Layer):
        def build(self, shape: Any) -> None:
            self.blocks = [(layers.Conv2D(6, 3, padding="same"), layers.BatchNormalization()) for _ in range(2)]
            self.skip = layers.Conv2D(6, 1)
            self.scale = self.add_weight(name="scale", shape=(6,), initializer="random_normal")
            super().build(shape)

        def call(self, x: Any, training: Any = False) -> Any:
            y = x
            for conv, norm in self.blocks:
                y = tf.nn.relu(norm(conv(y), training=training))
            return y * self.scale + self.skip(x)

    inputs = keras.Input((12, 12, 3))
    return keras.Model(inputs, layers.Flatten()(layers.BatchNormalization()(Late()(inputs))))


@network
def layer_that_returns_two(keras: Any) -> Any:
    """Halves of its channels, one of them scaled by an argument that is not a tensor."""
    layers = keras.layers

    class Halves(layers.Layer):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.dense, self.norm = layers.Dense(8), layers.BatchNormalization()

        def call(self, x: Any, scale: float = 1.0, training: Any = None) -> Any:
            left, right = tf.split(self.norm(self.dense(x), training=training), 2, axis=-1)
            return left * scale, right

    inputs = keras.Input((8,))
    left, right = Halves()(inputs, scale=0.5)
    return keras.Model(inputs, [layers.BatchNormalization()(left), layers.Dense(2)(right)])


@network
def dict_of_sublayers(keras: Any) -> Any:
    """Heads and BatchNorms in dicts; the layer returns a dict."""
    layers = keras.layers

    class Heads(layers.Layer):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.heads = {"left": layers.Dense(4), "right": layers.Dense(4)}
            self.norms = {"left": layers.BatchNormalization(), "right": layers.BatchNormalization()}

        def call(self, x: Any, training: Any = None) -> Any:
            return {key: self.norms[key](head(x), training=training) for key, head in self.heads.items()}

    inputs = keras.Input((6,))
    heads = Heads()(inputs)
    return keras.Model(inputs, layers.Dense(2)(layers.Concatenate()([heads["left"], heads["right"]])))


@network
def sequential_inside_a_layer(keras: Any) -> Any:
    """A residual bottleneck whose branch is a Sequential."""
    layers = keras.layers

    class Bottleneck(layers.Layer):
        def __init__(self, channels: int, **options: Any) -> None:
            super().__init__(**options)
            self.branch = keras.Sequential(
                [
                    *(layers.Conv2D(channels, 1, use_bias=False), layers.BatchNormalization(), layers.ReLU()),
                    layers.DepthwiseConv2D(3, padding="same", use_bias=False),
                    *(layers.BatchNormalization(), layers.ReLU()),
                    *(layers.Conv2D(channels, 1, use_bias=False), layers.BatchNormalization()),
                ]
            )

        def call(self, x: Any, training: Any = None) -> Any:
            return tf.nn.relu(x + self.branch(x, training=training))

    inputs = keras.Input((8, 8, 6))
    x = layers.GlobalAveragePooling2D()(Bottleneck(6)(Bottleneck(6)(inputs)))
    return keras.Model(inputs, layers.Dense(2)(x))


@network
def flatten_by_shape(keras: Any) -> Any:
    """Reshape by ``tf.shape``."""
    layers = keras.layers

    class Flat(layers.Layer):
        def call(self, x: Any) -> Any:
            return tf.reshape(x, (tf.shape(x)[0], -1))

        def compute_output_shape(self, shape: Any) -> Any:
            return shape[0], shape[1] * shape[2] * shape[3]

    inputs = keras.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(inputs))
    flat = layers.Reshape((144,))(Flat()(x))
    return keras.Model(inputs, layers.Dense(3)(flat))


@network
def pixel_shuffle_layer(keras: Any) -> Any:
    """Depth to space, with its output's shape told."""
    layers = keras.layers

    class PixelShuffle(layers.Layer):
        def call(self, x: Any) -> Any:
            return tf.nn.depth_to_space(x, 2)

        def compute_output_shape(self, shape: Any) -> Any:
            return shape[0], shape[1] * 2, shape[2] * 2, shape[3] // 4

    inputs = keras.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.Conv2D(16, 3, padding="same")(inputs))
    return keras.Model(inputs, layers.Conv2D(3, 3)(layers.BatchNormalization()(PixelShuffle()(x))))


@network
def weight_normalized_dense(keras: Any) -> Any:
    """A subclass of Dense that divides its kernel by its norm."""
    layers = keras.layers

    class Normed(layers.Dense):
        def call(self, x: Any) -> Any:
            kernel = self.kernel / (tf.norm(self.kernel, axis=0, keepdims=True) + 1e-6)
            return tf.matmul(x, kernel) + self.bias

    inputs = keras.Input((12,))
    x = layers.ReLU()(layers.BatchNormalization()(Normed(8)(inputs)))
    return keras.Model(inputs, Normed(3)(layers.BatchNormalization()(x)))


@network
def standardized_convolution(keras: Any) -> Any:
    """A subclass of Conv2D whose kernel has mean 0 and variance 1."""
    layers = keras.layers

    class Standardized(layers.Conv2D):
        def call(self, x: Any) -> Any:
            mean, variance = tf.nn.moments(tf.convert_to_tensor(self.kernel), axes=[0, 1, 2], keepdims=True)
            kernel = (self.kernel - mean) / tf.sqrt(variance + 1e-5)
            return tf.nn.conv2d(x, kernel, 1, "SAME") + self.bias

    inputs = keras.Input((8, 8, 3))
    x = layers.ReLU()(layers.BatchNormalization()(Standardized(6, 3, padding="same")(inputs)))
    return keras.Model(inputs, layers.Conv2D(2, 1)(layers.BatchNormalization()(x)))


@network
def attention_written_out(keras: Any) -> Any:
    """Queries, keys and values by Dense, with a BatchNorm behind the sum."""
    ops, layers = operations(keras), keras.layers

    class Attention(layers.Layer):
        def __init__(self, width: int, **options: Any) -> None:
            super().__init__(**options)
            self.width = width
            self.query, self.key, self.value = layers.Dense(width), layers.Dense(width), layers.Dense(width)
            self.norm = layers.BatchNormalization()

        def call(self, x: Any, training: Any = None) -> Any:
            scores = tf.matmul(self.query(x), self.key(x), transpose_b=True) / self.width**0.5
            return self.norm(tf.matmul(tf.nn.softmax(scores, -1), self.value(x)) + x, training=training)

    inputs = keras.Input((7, 8))
    return keras.Model(inputs, layers.Dense(2)(ops.mean(Attention(8)(Attention(8)(inputs)), axis=1)))


@network
def learnt_positions(keras: Any) -> Any:
    """A weight of the sample's size is added between two BatchNorms."""
    layers = keras.layers

    class Positions(layers.Layer):
        def build(self, shape: Any) -> None:
            self.table = self.add_weight(name="table", shape=(1, shape[1], shape[2]), initializer="random_normal")

        def call(self, x: Any) -> Any:
            return x + self.table

    inputs = keras.Input((6, 4))
    x = Positions()(layers.BatchNormalization()(layers.Dense(8)(inputs)))
    return keras.Model(inputs, layers.Dense(2)(layers.BatchNormalization()(x)))


@network
def rows_in_another_order(keras: Any) -> Any:
    """``tf.gather`` along the second axis, between two BatchNorms."""
    layers = keras.layers

    class Swapped(layers.Layer):
        def call(self, x: Any) -> Any:
            return tf.gather(x, [0, 2, 1], axis=1)

    inputs = keras.Input((3, 5))
    x = Swapped()(layers.BatchNormalization()(layers.Dense(4)(inputs)))
    return keras.Model(inputs, layers.BatchNormalization()(x))


@network
def call_as_tf_function(keras: Any) -> Any:
    """``call`` is decorated with ``tf.function``."""
    layers = keras.layers

    class Clip(layers.Layer):
        @tf.function
        def call(self, x: Any) -> Any:
            return tf.minimum(x, 1.0)

    inputs = keras.Input((5,))
    x = Clip()(layers.BatchNormalization()(layers.Dense(4)(inputs)))
    return keras.Model(inputs, layers.BatchNormalization()(x))


@network
def drop_path(keras: Any) -> Any:
    """Stochastic depth: a branch that is left out at random, in training alone."""
    layers = keras.layers

    class DropPath(layers.Layer):
        def call(self, x: Any, training: Any = None) -> Any:
            if not training:
                return x
            return x * tf.floor(0.8 + tf.random.uniform((tf.shape(x)[0], 1, 1, 1))) / 0.8

    inputs = keras.Input((8, 8, 4))
    y = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(inputs))
    x = layers.BatchNormalization()(layers.Add()([inputs, DropPath()(y)]))
    return keras.Model(inputs, layers.Conv2D(2, 1)(x))


@network
def layer_scale(keras: Any) -> Any:
    """ConvNeXt's block with a learnt scale for each channel, and BatchNorm for its norm."""
    layers = keras.layers

    class Scale(layers.Layer):
        def build(self, shape: Any) -> None:
            self.gamma = self.add_weight(name="gamma", shape=(shape[-1],), initializer="random_normal")

        def call(self, x: Any) -> Any:
            return x * self.gamma

    inputs = keras.Input((8, 8, 4))
    y = layers.BatchNormalization()(layers.DepthwiseConv2D(7, padding="same")(inputs))
    y = layers.Dense(4)(layers.Dense(8, activation="gelu")(y))
    return keras.Model(inputs, layers.BatchNormalization()(layers.Add()([inputs, Scale()(y)])))


@network
def sampling_layer(keras: Any) -> Any:
    """A variational autoencoder: the layer draws in training, and gives the mean otherwise."""
    layers = keras.layers

    class Sampling(layers.Layer):
        def call(self, given: Any, training: Any = None) -> Any:
            mean, log_variance = given
            noise = tf.exp(0.5 * log_variance) * tf.random.normal(tf.shape(mean))
            return mean + noise if training else mean

    inputs = keras.Input((12,))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Dense(8)(inputs)))
    z = Sampling()([layers.Dense(3)(x), layers.Dense(3)(x)])
    x = layers.ReLU()(layers.BatchNormalization()(layers.Dense(8)(z)))
    return keras.Model(inputs, layers.Dense(12, activation="sigmoid")(x))
