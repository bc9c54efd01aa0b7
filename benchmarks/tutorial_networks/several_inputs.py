"""Networks with more than one input."""

from __future__ import annotations

from typing import Any

from tutorial_networks.network import conv_bn, dense_bn, network, operations


@network
def image_similarity(keras: Any) -> Any:
    """Siamese network with three inputs: one embedding called thrice, two distances by a layer of the user's own."""
    ops, layers = operations(keras), keras.layers
    image = keras.Input((12, 12, 3))
    x = layers.Flatten()(conv_bn(keras, conv_bn(keras, image, 6, strides=2), 8, strides=2))
    x = layers.BatchNormalization()(layers.Dense(12, activation="relu")(x))
    x = layers.BatchNormalization()(layers.Dense(8, activation="relu")(x))
    embedding = keras.Model(image, layers.Dense(6)(x), name="Embedding")

    class Distances(keras.layers.Layer):  # type: ignore[misc]
        def call(self, anchor: Any, positive: Any, negative: Any) -> Any:
            return ops.sum(ops.square(anchor - positive), axis=-1), ops.sum(ops.square(anchor - negative), axis=-1)

    inputs = [keras.Input((12, 12, 3), name=name) for name in ("anchor", "negative", "positive")]
    anchor, negative, positive = [embedding(tensor) for tensor in inputs]
    return keras.Model(inputs, list(Distances()(anchor, positive, negative)))


@network
def siamese_contrastive(keras: Any) -> Any:
    """Two images through one network, their distance, a BatchNorm behind it."""
    ops, layers = operations(keras), keras.layers
    image = keras.Input((16, 16, 1))
    x = layers.Conv2D(4, 5, activation="tanh")(layers.BatchNormalization()(image))
    x = layers.Conv2D(6, 3, activation="tanh")(layers.AveragePooling2D(2)(x))
    x = layers.BatchNormalization()(layers.Flatten()(layers.AveragePooling2D(2)(x)))
    embedding = keras.Model(image, layers.Dense(10, activation="tanh")(x))

    def euclidean(pair: Any) -> Any:
        return ops.sqrt(ops.maximum(ops.sum(ops.square(pair[0] - pair[1]), axis=1, keepdims=True), 1e-7))

    inputs = [keras.Input((16, 16, 1), name=name) for name in ("left", "right")]
    distance = layers.Lambda(euclidean, output_shape=(1,))([embedding(tensor) for tensor in inputs])
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(layers.BatchNormalization()(distance)))


@network
def image_captioning(keras: Any) -> Any:
    """An image's regions attend to themselves, the words of a caption to these."""
    layers = keras.layers
    image, words = keras.Input((16, 16, 3), name="image"), keras.Input((6,), dtype="int32", name="words")
    x = conv_bn(keras, conv_bn(keras, image, 8, strides=2), 8, strides=2)
    regions = layers.BatchNormalization()(layers.Dense(8, activation="relu")(layers.Reshape((16, 8))(x)))
    attended = layers.MultiHeadAttention(1, 8, dropout=0.0)(regions, regions)
    regions = layers.BatchNormalization()(layers.Add()([regions, attended]))
    text = layers.BatchNormalization()(layers.Embedding(20, 8)(words))
    text = layers.LayerNormalization()(layers.Add()([text, layers.MultiHeadAttention(2, 8)(text, text)]))
    text = layers.LayerNormalization()(layers.Add()([text, layers.MultiHeadAttention(2, 8)(text, regions)]))
    text = layers.BatchNormalization()(layers.Dense(8)(layers.Dense(12, activation="relu")(text)))
    return keras.Model([image, words], layers.Dense(20, activation="softmax")(text))


@network
def wide_deep_cross(keras: Any) -> Any:
    """Tables: columns and looked-up categories side by side, layers that multiply with the first."""
    layers = keras.layers
    columns, kinds = keras.Input((5,), name="columns"), keras.Input((2,), dtype="int32", name="kinds")
    looked_up = layers.Flatten()(layers.Embedding(20, 3)(kinds))
    first = cross = layers.BatchNormalization()(layers.concatenate([columns, looked_up]))
    for _ in range(2):
        cross = first * layers.Dense(int(first.shape[-1]))(cross) + cross
    deep = first
    for units in (12, 8):
        deep = layers.Dropout(0.1)(dense_bn(keras, deep, units))
    merged = layers.concatenate([layers.BatchNormalization()(cross), deep])
    small = keras.initializers.RandomNormal(0.0, 0.1)
    return keras.Model([columns, kinds], layers.Dense(3, activation="softmax", kernel_initializer=small)(merged))


@network
def graph_node_classification(keras: Any) -> Any:
    """Feed-forward blocks of BatchNorm, Dropout, Dense on nodes; messages by a matrix of neighbours."""
    layers, matmul = keras.layers, operations(keras).matmul

    def feed_forward(x: Any, units: int = 8) -> Any:
        for _ in range(2):
            x = layers.Dense(units, activation="gelu")(layers.Dropout(0.5)(layers.BatchNormalization()(x)))
        return x

    edges, nodes = keras.Input((6, 6), name="edges"), keras.Input((6, 5), name="nodes")
    x = feed_forward(nodes)
    for _ in range(2):
        messages = matmul(edges, feed_forward(x))
        x = layers.Add()([feed_forward(layers.Concatenate()([x, messages])), x])
    return keras.Model([edges, nodes], layers.Dense(4)(feed_forward(x)))
