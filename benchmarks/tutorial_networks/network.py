"""What the networks share: their table, Conv-BatchNorm-activation, and the operations that both Kerases have."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import tensorflow as tf

NETWORKS: dict[str, Callable[[Any], Any]] = {}

KERAS_2 = SimpleNamespace(
    concatenate=tf.concat,
    expand_dims=tf.expand_dims,
    matmul=tf.matmul,
    maximum=tf.maximum,
    mean=lambda x, axis, keepdims=False: tf.reduce_mean(x, axis, keepdims),
    relu=tf.nn.relu,
    reshape=tf.reshape,
    softmax=tf.nn.softmax,
    sqrt=tf.sqrt,
    square=tf.square,
    sum=lambda x, axis, keepdims=False: tf.reduce_sum(x, axis, keepdims),
    transpose=tf.transpose,
)
"""TensorFlow's operations by the names of ``keras.ops``, which tf_keras does not have."""


def network(build: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Puts a network into the table."""
    NETWORKS[build.__name__] = build
    return build


def operations(keras: Any) -> Any:
    """What users of this Keras call on tensors."""
    return getattr(keras, "ops", KERAS_2)


def conv_bn(keras: Any, x: Any, filters: int, size: int = 3, *, activation: str | None = "relu", **options: Any) -> Any:
    """Conv2D, BatchNorm, activation."""
    options = {"padding": "same", "use_bias": False, **options}
    x = keras.layers.Conv2D(filters, size, **options)(x)
    x = keras.layers.BatchNormalization()(x)
    return keras.layers.Activation(activation)(x) if activation else x


def dense_bn(keras: Any, x: Any, units: int) -> Any:
    """Dense, BatchNorm, ReLU."""
    x = keras.layers.BatchNormalization()(keras.layers.Dense(units)(x))
    return keras.layers.Activation("relu")(x)


def head(keras: Any, x: Any, classes: int = 4, activation: str | None = "softmax") -> Any:
    """Global average pooling, Dropout, Dense."""
    x = keras.layers.Dropout(0.3)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.layers.Dense(classes, activation=activation)(x)
