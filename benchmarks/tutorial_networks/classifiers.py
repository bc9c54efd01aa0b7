"""Image classifiers: one image in, classes out."""

from __future__ import annotations

from typing import Any

from tutorial_networks.network import conv_bn, dense_bn, head, network, operations


@network
def image_classification_from_scratch(keras: Any) -> Any:
    """Augmentation, rescaling, a small Xception."""
    layers = keras.layers
    inputs = keras.Input((24, 24, 3))
    augmented = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)])(inputs)
    x = previous = conv_bn(keras, layers.Rescaling(0.5)(augmented), 8, strides=2, use_bias=True)
    for filters in (12, 16):
        for _ in range(2):
            x = layers.Activation("relu")(x)
            x = layers.BatchNormalization()(layers.SeparableConv2D(filters, 3, padding="same")(x))
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        x = previous = layers.add([x, layers.Conv2D(filters, 1, strides=2, padding="same")(previous)])
    x = layers.SeparableConv2D(20, 3, padding="same")(x)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    return keras.Model(inputs, head(keras, x))


@network
def efficientnet_fine_tuning(keras: Any) -> Any:
    """A backbone as a layer, GlobalAveragePooling, BatchNorm, Dropout, Dense."""
    layers = keras.layers
    image = keras.Input((16, 16, 3))
    x = conv_bn(keras, image, 8, strides=2, activation="swish")
    weights = layers.Reshape((1, 1, 8))(layers.GlobalAveragePooling2D()(x))
    weights = layers.Conv2D(4, 1, activation="swish")(weights)
    x = layers.multiply([x, layers.Conv2D(8, 1, activation="sigmoid")(weights)])
    backbone = keras.Model(image, conv_bn(keras, x, 10, 1, activation=None), name="backbone")
    inputs = keras.Input((16, 16, 3))
    x = layers.BatchNormalization()(layers.GlobalAveragePooling2D()(backbone(inputs)))
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(layers.Dropout(0.2)(x)))


@network
def convmixer(keras: Any) -> Any:
    """Every BatchNorm behind a GELU."""
    layers = keras.layers

    def activated(x: Any) -> Any:
        return layers.BatchNormalization()(layers.Activation("gelu")(x))

    inputs = keras.Input((16, 16, 3))
    x = activated(layers.Conv2D(8, 2, strides=2)(layers.Rescaling(0.5)(inputs)))
    for _ in range(2):
        x = layers.Add()([activated(layers.DepthwiseConv2D(3, padding="same")(x)), x])
        x = activated(layers.Conv2D(8, 1)(x))
    return keras.Model(inputs, head(keras, x))


@network
def mobilevit(keras: Any) -> Any:
    """Inverted residuals, and one block that unfolds patches for attention."""
    layers = keras.layers
    inputs = keras.Input((16, 16, 3))
    x = _inverted_residual(keras, conv_bn(keras, inputs, 6, strides=2, activation="swish"), 12, 8, 1)
    x = _inverted_residual(keras, x, 16, 8, 1)
    patches = layers.Conv2D(8, 1, padding="same", activation="swish")(layers.Conv2D(8, 3, padding="same")(x))
    tokens = layers.Reshape((4, 16, 8))(patches)
    normed = layers.LayerNormalization(epsilon=1e-6)(tokens)
    tokens = layers.Add()([layers.MultiHeadAttention(2, 8)(normed, normed), tokens])
    mixed = layers.Dense(16, activation="swish")(layers.LayerNormalization(epsilon=1e-6)(tokens))
    tokens = layers.Add()([layers.Dense(8)(mixed), tokens])
    folded = layers.Conv2D(8, 1, padding="same", activation="swish")(layers.Reshape((8, 8, 8))(tokens))
    x = layers.Concatenate(axis=-1)([x, folded])
    x = layers.Conv2D(8, 3, padding="same", activation="swish")(x)
    return keras.Model(inputs, head(keras, _inverted_residual(keras, x, 16, 10, 2)))


def _inverted_residual(keras: Any, x: Any, expanded: int, filters: int, strides: int) -> Any:
    layers = keras.layers
    y = conv_bn(keras, x, expanded, 1, activation="swish")
    y = layers.ZeroPadding2D(1)(y) if strides == 2 else y
    padding = "valid" if strides == 2 else "same"
    y = layers.DepthwiseConv2D(3, strides=strides, padding=padding, use_bias=False)(y)
    y = layers.Activation("swish")(layers.BatchNormalization()(y))
    y = conv_bn(keras, y, filters, 1, activation=None)
    return layers.Add()([y, x]) if strides == 1 and x.shape[-1] == filters else y


@network
def involution(keras: Any) -> Any:
    """Kernels computed from the image itself, by a bottleneck with a BatchNorm."""
    ops, layers = operations(keras), keras.layers

    class Involution(keras.layers.Layer):  # type: ignore[misc]
        def build(self, shape: Any) -> None:
            self.height, self.width, self.channels = shape[1:]
            self.reduce = keras.Sequential([layers.Conv2D(4, 1), layers.BatchNormalization(), layers.ReLU()])
            self.reduce.build((None, *shape[1:]))
            self.span = layers.Conv2D(9, 1)
            self.span.build((None, self.height, self.width, 4))
            self.patches = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=9, use_bias=False)
            self.patches.build(shape)
            super().build(shape)

        def call(self, x: Any) -> Any:
            size = (-1, self.height, self.width)
            kernel = ops.reshape(self.span(self.reduce(x)), (*size, 1, 9))
            patches = ops.reshape(self.patches(x), (*size, self.channels, 9))
            return ops.sum(kernel * patches, axis=-1)

    inputs = keras.Input((12, 12, 3))
    x = layers.ReLU()(Involution()(inputs))
    x = layers.MaxPooling2D()(x)
    x = layers.ReLU()(Involution()(x))
    return keras.Model(inputs, layers.Dense(4)(layers.Dense(8, activation="relu")(layers.Flatten()(x))))


@network
def learnable_resizer(keras: Any) -> Any:
    """Convolutions beside a bilinear resize, added behind it; then a classifier."""
    layers = keras.layers
    inputs = keras.Input((20, 20, 3))
    naive = layers.Resizing(12, 12, interpolation="bilinear")(inputs)
    x = layers.LeakyReLU(0.2)(layers.Conv2D(6, 7, padding="same")(inputs))
    x = layers.BatchNormalization()(layers.LeakyReLU(0.2)(layers.Conv2D(6, 1, padding="same")(x)))
    x = bottleneck = layers.Resizing(12, 12, interpolation="bilinear")(x)
    for _ in range(2):
        y = layers.LeakyReLU(0.2)(conv_bn(keras, x, 6, activation=None))
        x = layers.Add()([x, conv_bn(keras, y, 6, activation=None)])
    x = layers.Add()([bottleneck, conv_bn(keras, x, 6, activation=None)])
    x = layers.Add()([naive, layers.Conv2D(3, 7, padding="same")(x)])
    return keras.Model(inputs, head(keras, conv_bn(keras, x, 8, strides=2)))


@network
def mlp_mixer(keras: Any) -> Any:
    """Patches as tokens, mixed along tokens and channels, with BatchNorm."""
    layers = keras.layers
    inputs = keras.Input((16, 16, 3))
    x = layers.Reshape((16, 8))(layers.Conv2D(8, 4, strides=4)(inputs))
    for _ in range(2):
        y = layers.Permute((2, 1))(layers.BatchNormalization()(x))
        y = layers.Dense(16)(layers.Dense(12, activation="gelu")(y))
        x = layers.Add()([x, layers.Permute((2, 1))(y)])
        y = layers.Dense(12, activation="gelu")(layers.BatchNormalization()(x))
        x = layers.Add()([x, layers.Dense(8)(y)])
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(layers.Dropout(0.2)(x)))


@network
def compact_convolutional_transformer(keras: Any) -> Any:
    """A convolutional tokenizer, attention with LayerNorm, and pooling by learnt weights."""
    ops, layers = operations(keras), keras.layers
    inputs = keras.Input((16, 16, 3))
    x = inputs
    for filters in (6, 8):
        x = layers.Conv2D(filters, 3, padding="valid", use_bias=False, activation="relu")(layers.ZeroPadding2D(1)(x))
        x = layers.MaxPooling2D(3, 2, "same")(layers.BatchNormalization()(x))
    x = layers.Reshape((16, 8))(x)
    y = layers.LayerNormalization(epsilon=1e-5)(x)
    x = layers.Add()([layers.MultiHeadAttention(2, 8, dropout=0.1)(y, y), x])
    y = layers.Dense(16, activation="gelu")(layers.LayerNormalization(epsilon=1e-5)(x))
    x = layers.Add()([layers.Dense(8, activation="gelu")(y), x])
    x = layers.LayerNormalization(epsilon=1e-5)(x)
    weights = ops.transpose(ops.softmax(layers.Dense(1)(x), axis=1), (0, 2, 1))
    pooled = layers.Reshape((8,))(ops.matmul(weights, x))
    return keras.Model(inputs, layers.Dense(4)(pooled))


@network
def external_attention(keras: Any) -> Any:
    """EANet: attention against a memory of two Dense layers, normalized twice."""
    ops, layers = operations(keras), keras.layers
    inputs = keras.Input((16, 16, 3))
    x = layers.Reshape((16, 8))(conv_bn(keras, inputs, 8, 4, strides=4, activation=None))
    for _ in range(2):
        y = layers.LayerNormalization(epsilon=1e-5)(x)
        heads = ops.transpose(ops.reshape(layers.Dense(16)(y), (-1, 16, 4, 4)), (0, 2, 1, 3))
        attention = layers.Softmax(axis=2)(layers.Dense(4)(heads))
        attention = attention / (1e-9 + ops.sum(attention, axis=-1, keepdims=True))
        y = ops.reshape(ops.transpose(layers.Dense(4)(attention), (0, 2, 1, 3)), (-1, 16, 16))
        x = layers.add([layers.Dense(8)(y), x])
        y = layers.Dense(8, activation="gelu")(layers.BatchNormalization()(x))
        x = layers.add([layers.Dense(8)(y), x])
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling1D()(x)))


@network
def cutmix_resnet(keras: Any) -> Any:
    """ResNet of the first version."""
    layers = keras.layers
    inputs = keras.Input((16, 16, 3))
    x = conv_bn(keras, inputs, 6, use_bias=True)
    for filters, strides in ((6, 1), (8, 2), (10, 2)):
        y = conv_bn(keras, conv_bn(keras, x, filters, strides=strides), filters, activation=None)
        x = layers.Conv2D(filters, 1, strides=strides, padding="same")(x) if strides > 1 else x
        x = layers.Activation("relu")(layers.add([x, y]))
    x = layers.Flatten()(layers.AveragePooling2D(4)(x))
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(x))


@network
def grad_cam(keras: Any) -> Any:
    """A classifier that also gives its last feature map."""
    layers = keras.layers
    inputs = keras.Input((16, 16, 3))
    x = conv_bn(keras, conv_bn(keras, inputs, 8, strides=2), 12)
    x = layers.BatchNormalization()(layers.SeparableConv2D(12, 3, padding="same", use_bias=False)(x))
    features = layers.Activation("relu", name="last_convolution")(x)
    return keras.Model(inputs, [features, head(keras, features)])


@network
def simsiam(keras: Any) -> Any:
    """An encoder with a projection of Dense and BatchNorm, and a predictor behind it."""
    layers = keras.layers
    inputs = keras.Input((16, 16, 3))
    x = conv_bn(keras, conv_bn(keras, inputs, 8, strides=2), 10, strides=2)
    x = dense_bn(keras, layers.GlobalAveragePooling2D()(x), 12)
    projected = layers.BatchNormalization()(layers.Dense(12, use_bias=False)(x))
    x = layers.Dense(4, use_bias=False, activation="relu")(projected)
    return keras.Model(inputs, layers.Dense(12)(layers.BatchNormalization()(x)))


@network
def reptile_few_shot(keras: Any) -> Any:
    """Four strided convolutions, each with a BatchNorm, then Flatten."""
    layers = keras.layers
    inputs = keras.Input((28, 28, 1))
    x = inputs
    for _ in range(4):
        x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2, padding="same")(x)))
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(layers.Flatten()(x)))


@network
def metric_learning(keras: Any) -> Any:
    """Embeddings of length 1."""
    layers = keras.layers
    inputs = keras.Input((16, 16, 3))
    x = inputs
    for filters in (6, 8, 10):
        x = conv_bn(keras, x, filters, strides=2, padding="valid", use_bias=True)
    x = layers.Dense(6)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.UnitNormalization()(x))
