"""Networks whose output is a map: segmentation, depth, points, boxes, better images."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tutorial_networks.network import conv_bn, network, operations


@network
def oxford_pets_segmentation(keras: Any) -> Any:
    """A U-Net in the manner of Xception: residuals down, transposed convolutions up."""
    layers = keras.layers
    inputs = keras.Input((16, 16, 3))
    x = previous = conv_bn(keras, inputs, 6, strides=2, use_bias=True)
    for filters in (8, 10):
        for _ in range(2):
            x = layers.SeparableConv2D(filters, 3, padding="same")(layers.Activation("relu")(x))
            x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
        x = previous = layers.add([x, layers.Conv2D(filters, 1, strides=2, padding="same")(previous)])
    for filters in (10, 8, 6):
        for _ in range(2):
            x = layers.Conv2DTranspose(filters, 3, padding="same")(layers.Activation("relu")(x))
            x = layers.BatchNormalization()(x)
        beside = layers.Conv2D(filters, 1, padding="same")(layers.UpSampling2D(2)(previous))
        x = previous = layers.add([layers.UpSampling2D(2)(x), beside])
    small = keras.initializers.RandomNormal(0.0, 0.002)
    x = layers.Conv2D(3, 3, activation="softmax", padding="same", kernel_initializer=small)(x)
    return keras.Model(inputs, x)


@network
def deeplabv3_plus(keras: Any) -> Any:
    """Dilated convolutions beside a pooled image, and a decoder with features of an earlier layer."""
    layers, relu = keras.layers, operations(keras).relu

    def block(x: Any, size: int = 3, rate: int = 1, *, bias: bool = False) -> Any:
        return relu(conv_bn(keras, x, 8, size, activation=None, dilation_rate=rate, use_bias=bias))

    inputs = keras.Input((16, 16, 3))
    low = block(layers.AveragePooling2D(2)(block(inputs)))
    x = block(layers.AveragePooling2D(2)(low))
    height, width = x.shape[1:3]
    pooled = block(layers.AveragePooling2D((height, width))(x), 1, bias=True)
    pooled = layers.UpSampling2D((height, width), interpolation="bilinear")(pooled)
    branches = [pooled, block(x, 1), *(block(x, rate=rate) for rate in (2, 3))]
    x = layers.UpSampling2D(2, interpolation="bilinear")(block(layers.Concatenate(axis=-1)(branches), 1))
    x = block(block(layers.Concatenate(axis=-1)([x, block(low, 1)])))
    x = layers.UpSampling2D(2, interpolation="bilinear")(x)
    return keras.Model(inputs, layers.Conv2D(5, 1, padding="same")(x))


@network
def depth_estimation(keras: Any) -> Any:
    """Blocks with LeakyReLU before the BatchNorm and a sum around them."""
    layers = keras.layers

    def block(x: Any, filters: int) -> Any:
        first = layers.Conv2D(filters, 3, padding="same")(x)
        y = layers.BatchNormalization()(layers.LeakyReLU(0.2)(first))
        y = layers.BatchNormalization()(layers.LeakyReLU(0.2)(layers.Conv2D(filters, 3, padding="same")(y)))
        return layers.add([y, first])

    inputs = keras.Input((16, 16, 3))
    first = block(inputs, 6)
    second = block(layers.MaxPooling2D()(first), 8)
    x = layers.LeakyReLU(0.2)(layers.Conv2D(10, 3, padding="same")(layers.MaxPooling2D()(second)))
    for skip, filters in ((second, 8), (first, 6)):
        x = layers.Concatenate()([layers.UpSampling2D((2, 2))(x), skip])
        for _ in range(2):
            x = layers.LeakyReLU(0.2)(layers.Conv2D(filters, 3, padding="same")(x))
            x = layers.BatchNormalization()(x)
    return keras.Model(inputs, layers.Conv2D(1, 1, padding="same", activation="tanh")(x))


@network
def pointnet(keras: Any) -> Any:
    """Points multiplied by matrices that two small networks compute from them."""
    layers = keras.layers
    inputs = keras.Input((32, 3))
    x = _points(keras, _transformed(keras, inputs, 3), 8)
    x = _points(keras, _transformed(keras, x, 8), 12)
    x = layers.Dense(8)(layers.GlobalMaxPooling1D()(x))
    x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.0)(x))
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(layers.Dropout(0.3)(x)))


@network
def pointnet_segmentation(keras: Any) -> Any:
    """The same with a class for each point: global features beside those of each point."""
    layers, concatenate = keras.layers, operations(keras).concatenate
    inputs = keras.Input((16, 3))
    first = _points(keras, _transformed(keras, inputs, 3), 6)
    second = _points(keras, first, 8)
    world = layers.MaxPooling1D(16)(_points(keras, _transformed(keras, second, 8), 10))
    repeated = concatenate([world] * 16, axis=1)
    x = _points(keras, layers.Concatenate()([first, second, repeated]), 8)
    return keras.Model(inputs, layers.Conv1D(4, 1, activation="softmax")(x))


def _points(keras: Any, x: Any, filters: int) -> Any:
    x = keras.layers.BatchNormalization(momentum=0.0)(keras.layers.Conv1D(filters, 1, padding="valid")(x))
    return keras.layers.Activation("relu")(x)


def _transformed(keras: Any, points: Any, features: int) -> Any:
    layers = keras.layers
    x = layers.GlobalMaxPooling1D()(_points(keras, _points(keras, points, 6), 8))
    x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.0)(layers.Dense(8)(x)))
    identity = keras.initializers.Constant(np.eye(features).flatten())
    matrix = layers.Reshape((features, features))(layers.Dense(features**2, bias_initializer=identity)(x))
    return layers.Dot(axes=(2, 1))([points, matrix])


@network
def retinanet(keras: Any) -> Any:
    """A feature pyramid, and two heads with BatchNorms, each called on every level."""
    layers = keras.layers
    inputs = keras.Input((32, 32, 3))
    c3 = conv_bn(keras, conv_bn(keras, inputs, 6, strides=2), 8, strides=2)
    c4 = conv_bn(keras, c3, 10, strides=2)
    p4 = layers.Conv2D(8, 1)(c4)
    p3 = layers.Add()([layers.Conv2D(8, 1)(c3), layers.UpSampling2D(2)(p4)])
    levels = [layers.Conv2D(8, 3, padding="same")(level) for level in (p3, p4)]
    heads = [_head(keras, 8, name, outputs) for name, outputs in (("classes", 6), ("boxes", 4))]
    outputs = [layers.Concatenate(axis=1)([head(level) for level in levels]) for head in heads]
    return keras.Model(inputs, layers.Concatenate(axis=-1)(outputs))


def _head(keras: Any, channels: int, name: str, outputs: int) -> Any:
    layers = keras.layers
    head = [keras.Input((None, None, channels))]
    for _ in range(2):
        head += [layers.Conv2D(8, 3, padding="same", use_bias=False), layers.BatchNormalization(), layers.ReLU()]
    return keras.Sequential(
        [*head, layers.Conv2D(outputs, 3, padding="same"), layers.Reshape((-1, outputs))], name=name
    )


@network
def keypoint_detection(keras: Any) -> Any:
    """A backbone as a layer, then separable convolutions down to one point for each key."""
    layers = keras.layers
    image = keras.Input((24, 24, 3))
    x = conv_bn(keras, image, 6, strides=2, activation="relu6")
    x = layers.ReLU(6.0)(layers.BatchNormalization()(layers.DepthwiseConv2D(3, strides=2, padding="same")(x)))
    backbone = keras.Model(image, conv_bn(keras, x, 10, 1, activation=None))
    inputs = keras.Input((24, 24, 3))
    x = layers.Dropout(0.3)(backbone(layers.Rescaling(0.5)(inputs)))
    x = layers.SeparableConv2D(8, 5, strides=1, activation="relu")(x)
    return keras.Model(inputs, layers.SeparableConv2D(8, 2, strides=1, activation="sigmoid")(x))


@network
def super_resolution(keras: Any) -> Any:
    """Sub-pixel convolution: channels become pixels."""
    layers = keras.layers
    inputs = keras.Input((8, 8, 1))
    x = layers.BatchNormalization()(layers.Conv2D(8, 5, padding="same", activation="relu")(inputs))
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same", activation="relu")(x))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = operations(keras).reshape(x, (-1, 8, 8, 2, 2, 1))
    x = operations(keras).transpose(x, (0, 1, 3, 2, 4, 5))
    return keras.Model(inputs, operations(keras).reshape(x, (-1, 16, 16, 1)))


@network
def edsr(keras: Any) -> Any:
    """Residual blocks without an activation behind the sum, then depth to space; with the BatchNorms of SRResNet."""
    layers = keras.layers
    inputs = keras.Input((8, 8, 3))
    x = start = layers.Conv2D(8, 3, padding="same")(layers.Rescaling(0.5)(inputs))
    for _ in range(2):
        y = conv_bn(keras, conv_bn(keras, x, 8), 8, activation=None)
        x = layers.Add()([x, y])
    x = layers.Add()([layers.Conv2D(8, 3, padding="same")(x), start])
    x = layers.Conv2D(16, 3, padding="same")(x)
    x = layers.Lambda(tf.nn.depth_to_space, arguments={"block_size": 2}, output_shape=(16, 16, 4))(x)
    x = layers.Conv2D(3, 3, padding="same")(x)
    return keras.Model(inputs, layers.Rescaling(2.0)(x))


@network
def zero_dce(keras: Any) -> Any:
    """Curves that a network with skips estimates, applied to the image again and again."""
    layers, square = keras.layers, operations(keras).square
    inputs = keras.Input((12, 12, 3))
    first = conv_bn(keras, inputs, 6, use_bias=True)
    second = conv_bn(keras, first, 6, use_bias=True)
    third = conv_bn(keras, second, 6, use_bias=True)
    x = layers.Conv2D(6, 3, padding="same", activation="relu")(layers.Concatenate(axis=-1)([second, third]))
    x = layers.Concatenate(axis=-1)([first, x])
    curves = layers.Conv2D(9, 3, padding="same", activation="tanh")(x)
    image = inputs
    for step in range(3):
        image = image + curves[:, :, :, 3 * step : 3 * step + 3] * (square(image) - image)
    return keras.Model(inputs, image)


@network
def denoising_autoencoder(keras: Any) -> Any:
    """Convolutions and pooling down, transposed convolutions up."""
    layers = keras.layers
    inputs = keras.Input((16, 16, 1))
    x = inputs
    for filters in (6, 8):
        x = layers.Conv2D(filters, 3, activation="relu", padding="same")(x)
        x = layers.MaxPooling2D(2, padding="same")(layers.BatchNormalization()(x))
    for filters in (8, 6):
        x = layers.Conv2DTranspose(filters, 3, strides=2, activation="relu", padding="same")(x)
        x = layers.BatchNormalization()(x)
    return keras.Model(inputs, layers.Conv2D(1, 3, activation="sigmoid", padding="same")(x))
