"""BatchNorms of one's own, BatchNorms with unusual arguments, and BatchNorms among other norms."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from own_code_networks.network import network


@network
def batchnorm_subclass(keras: Any) -> Any:
    """A subclass that adds nothing."""
    layers = keras.layers

    class Norm(layers.BatchNormalization):
        pass

    inputs = keras.Input((8, 8, 3))
    x = layers.ReLU()(Norm()(layers.Conv2D(6, 3)(inputs)))
    return keras.Model(inputs, layers.Conv2D(2, 1)(x))


@network
def batchnorm_subclass_with_defaults(keras: Any) -> Any:
    """A subclass whose constructor has other defaults."""
    layers = keras.layers

    class Norm(layers.BatchNormalization):
        def __init__(self, momentum: float = 0.9, epsilon: float = 1e-5, **options: Any) -> None:
            super().__init__(momentum=momentum, epsilon=epsilon, **options)

    inputs = keras.Input((8, 8, 3))
    x = layers.ReLU()(Norm()(layers.Conv2D(6, 3)(inputs)))
    return keras.Model(inputs, layers.Conv2D(2, 1)(x))


@network
def batchnorm_subclass_that_doubles(keras: Any) -> Any:
    """A subclass whose call computes something else."""
    layers = keras.layers

    class Doubled(layers.BatchNormalization):
        def call(self, x: Any, training: Any = None) -> Any:
            return super().call(x, training=training) * 2.0

    inputs = keras.Input((8, 8, 3))
    x = layers.ReLU()(Doubled()(layers.Conv2D(6, 3)(inputs)))
    return keras.Model(inputs, layers.Conv2D(2, 1)(x))


@network
def frozen_batchnorm_by_hand(keras: Any) -> Any:
    """A layer that holds the four vectors itself and computes a BatchNorm's formula."""
    layers = keras.layers

    class Frozen(layers.Layer):
        def build(self, shape: Any) -> None:
            self.gamma, self.beta, self.mean = (
                self.add_weight(name=name, shape=(shape[-1],), initializer="random_normal", trainable=False)
                for name in ("scale", "offset", "mean")
            )
            self.variance = self.add_weight(name="variance", shape=(shape[-1],), initializer="ones", trainable=False)

        def call(self, x: Any) -> Any:
            return (x - self.mean) * tf.math.rsqrt(self.variance + 1e-5) * self.gamma + self.beta

    inputs = keras.Input((8, 8, 3))
    x = layers.ReLU()(Frozen()(layers.Conv2D(6, 3)(inputs)))
    return keras.Model(inputs, layers.BatchNormalization()(layers.Conv2D(2, 1)(x)))


@network
def batchnorm_or_identity(keras: Any) -> Any:
    """A layer of one's own that has a BatchNorm or not, by an argument, as library blocks have."""
    layers = keras.layers

    class Block(layers.Layer):
        def __init__(self, filters: int, normed: bool, **options: Any) -> None:
            super().__init__(**options)
            self.conv = layers.Conv2D(filters, 3, padding="same", use_bias=not normed)
            self.norm = layers.BatchNormalization() if normed else None

        def call(self, x: Any, training: Any = None) -> Any:
            x = self.conv(x)
            return tf.nn.relu(x if self.norm is None else self.norm(x, training=training))

    inputs = keras.Input((8, 8, 3))
    x = Block(6, True)(Block(4, False)(inputs))
    return keras.Model(inputs, layers.BatchNormalization()(x))


@network
def batchnorm_alone(keras: Any) -> Any:
    """Nothing but a BatchNorm."""
    inputs = keras.Input((6,))
    return keras.Model(inputs, keras.layers.BatchNormalization()(inputs))


@network
def batchnorm_with_other_arguments(keras: Any) -> Any:
    """A large epsilon, a momentum of 0, no scale, no offset; axes given as numbers from both ends."""
    layers = keras.layers
    inputs = keras.Input((8, 8, 4))
    x = layers.BatchNormalization(axis=-1, epsilon=0.1)(layers.Conv2D(6, 3)(inputs))
    x = layers.BatchNormalization(axis=3, momentum=0.0, scale=False)(layers.Conv2D(6, 3, activation="relu")(x))
    x = layers.BatchNormalization(center=False, epsilon=1e-12)(layers.Activation("tanh")(x))
    return keras.Model(inputs, layers.Conv2D(2, 1)(x))


@network
def regularizers_and_constraints(keras: Any) -> Any:
    """What only training heeds, on a convolution and on a BatchNorm."""
    layers, regularized = keras.layers, {"kernel_regularizer": "l2", "bias_initializer": "ones"}
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, kernel_constraint=keras.constraints.MaxNorm(2.0), **regularized)(inputs)
    x = layers.BatchNormalization(beta_regularizer="l2", gamma_constraint=keras.constraints.NonNeg())(x)
    return keras.Model(inputs, layers.Conv2D(2, 1)(layers.ActivityRegularization(l2=0.1)(x)))


@network
def synchronized(keras: Any) -> Any:
    """``BatchNormalization(synchronized=True)``."""
    layers = keras.layers
    inputs = keras.Input((8, 8, 3))
    x = layers.BatchNormalization(synchronized=True)(layers.Conv2D(4, 3)(inputs))
    return keras.Model(inputs, layers.ReLU()(x))


@network
def every_kind_of_norm(keras: Any) -> Any:
    """BatchNorm before GroupNormalization, and behind LayerNormalization."""
    layers = keras.layers
    inputs = keras.Input((8, 8, 4))
    x = layers.GroupNormalization(4)(layers.BatchNormalization()(layers.Conv2D(8, 3)(inputs)))
    x = layers.BatchNormalization()(layers.LayerNormalization()(layers.Conv2D(8, 3)(x)))
    return keras.Model(inputs, layers.Conv2D(2, 1)(x))


@network
def over_the_first_axis(keras: Any) -> Any:
    """BatchNorms whose channels are the steps of time."""
    layers = keras.layers
    inputs = keras.Input((6, 5))
    x = layers.Conv1D(4, 3)(layers.BatchNormalization(axis=1)(inputs))
    return keras.Model(inputs, layers.BatchNormalization(axis=1)(x))


@network
def channels_swapped(keras: Any) -> Any:
    """An image with channels first, permuted for the convolution and back."""
    layers = keras.layers
    inputs = keras.Input((3, 8, 8))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(layers.Permute((2, 3, 1))(inputs)))
    return keras.Model(inputs, layers.BatchNormalization(axis=1)(layers.Permute((3, 1, 2))(x)))
