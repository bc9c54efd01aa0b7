"""Embedding, attention, other norms, preprocessing layers and constants: rules 1, 11 and 12.

An LSTM's loop adds its own bias in an ADD: that one is counted in the minimum.
GroupNormalization multiplies its statistics by gamma, which costs no operation on the data.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from patterns.pattern import BN, IMAGE, RELU, SEQUENCE, VECTOR, chain, conv, conv1d, dense, layer, pattern

NORMALIZATION = layer("Normalization", mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 4.0, 9.0, 0.1])

chain("rescaling, conv2d, BN", IMAGE, layer("Rescaling", 1 / 255.0, offset=-0.3), conv(), BN, RELU)
chain("rescaling without offset, conv2d same", IMAGE, layer("Rescaling", 1 / 255.0), conv(padding="same"), RELU)
chain("normalization, conv2d", IMAGE, NORMALIZATION, conv(), RELU)
chain("normalization, conv2d same", IMAGE, NORMALIZATION, conv(padding="same"), RELU, least=1)
chain("normalization, BN, conv1d", SEQUENCE, NORMALIZATION, BN, conv1d(), BN, RELU)
chain("normalization, dense, BN, relu", (4,), NORMALIZATION, dense(), BN, RELU)
chain("conv2d, rescaling per channel", IMAGE, conv(4), layer("Rescaling", [1.0, 2.0, -3.0, 4.0], offset=0.5), RELU)
chain("layer norm, dense", SEQUENCE, layer("LayerNormalization"), dense())
chain("layer norm, BN, conv1d", SEQUENCE, layer("LayerNormalization"), BN, conv1d())
chain("group norm, conv2d", IMAGE, layer("GroupNormalization", 2), conv())
chain("group norm, conv2d same", IMAGE, layer("GroupNormalization", 2), conv(padding="same"))
chain("instance norm, relu, conv2d", IMAGE, layer("GroupNormalization", -1), RELU, conv())
chain("dense, BN, dense linear in a row", VECTOR, dense(), BN, dense(3), BN, RELU)
chain("conv2d, BN, conv2d 1x1, BN", IMAGE, conv(8), BN, conv(3, 1), BN, RELU)


@pattern(least=0)
def embedding_bn_conv1d(k: Any) -> Any:
    x = k.Input((7,), dtype="int32")
    y = k.layers.BatchNormalization()(k.layers.Embedding(10, 4)(x))
    return k.Model(x, k.layers.Conv1D(3, 3, padding="same")(y))


@pattern(least=0)
def embedding_bn_relu(k: Any) -> Any:
    x = k.Input((7,), dtype="int32")
    return k.Model(x, k.layers.ReLU()(k.layers.BatchNormalization()(k.layers.Embedding(10, 4)(x))))


@pattern(least=1)
def lstm_bn_dense(k: Any) -> Any:
    x = k.Input(SEQUENCE)
    return k.Model(x, k.layers.Dense(2)(k.layers.BatchNormalization()(k.layers.LSTM(4)(x))))


@pattern(least=2)
def bn_bidirectional_lstm(k: Any) -> Any:
    x = k.Input(SEQUENCE)
    y = k.layers.BatchNormalization()(k.layers.Conv1D(4, 3, activation="relu")(x))
    return k.Model(x, k.layers.Bidirectional(k.layers.LSTM(3))(y))


def attention(k: Any, norm: Any) -> Any:
    """A norm before self-attention."""
    inputs = k.Input(SEQUENCE)
    x = norm(k.layers.Conv1D(4, 3, activation="tanh")(inputs))
    return k.Model(inputs, k.layers.MultiHeadAttention(2, 3)(x, x))


@pattern(least=0)
def bn_attention(k: Any) -> Any:
    return attention(k, k.layers.BatchNormalization())


@pattern(least=0)
def layer_norm_attention(k: Any) -> Any:
    return attention(k, k.layers.LayerNormalization())


@pattern(least=0)
def attention_bn(k: Any) -> Any:
    inputs = k.Input(SEQUENCE)
    x = k.layers.Conv1D(4, 3, activation="tanh")(inputs)
    return k.Model(inputs, k.layers.BatchNormalization()(k.layers.MultiHeadAttention(2, 3)(x, x)))


@pattern(least=0)
def constants_around_a_conv(k: Any) -> Any:
    inputs = k.Input(IMAGE)
    x = k.layers.Conv2D(3, 3)((inputs - 0.5) / 0.25)
    x = (2.0 - x) * np.array([1.0, 2.0, -3.0], "float32") / 3.0
    return k.Model(inputs, k.layers.ReLU()(k.layers.BatchNormalization()(-x) + 1.0))


@pattern(least=0)
def dense_bn_autoencoder(k: Any) -> Any:
    x = inputs = k.Input((16,))
    for units in (8, 4, 8):
        x = k.layers.ReLU()(k.layers.BatchNormalization()(k.layers.Dense(units)(x)))
    return k.Model(inputs, k.layers.Dense(16)(x))


@pattern(least=0)
def hard_swish_of_parts(k: Any) -> Any:
    """The converter makes one HARD_SWISH of it, as long as every part is there."""
    inputs = k.Input(IMAGE)
    x = k.layers.BatchNormalization()(k.layers.Conv2D(4, 3)(inputs))
    x = k.layers.Multiply()([x, k.layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)])
    return k.Model(inputs, k.layers.ReLU()(k.layers.BatchNormalization()(k.layers.Conv2D(3, 3)(x))))
