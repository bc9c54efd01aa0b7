"""Layers of the library, wired as no guide shows."""

from __future__ import annotations

from typing import Any

from own_code_networks.network import network


@network
def one_batchnorm_for_two_inputs(keras: Any) -> Any:
    """A Dense and a BatchNorm that are called twice."""
    layers = keras.layers
    norm, dense = layers.BatchNormalization(), layers.Dense(4)
    left, right = keras.Input((6,), name="left"), keras.Input((6,), name="right")
    return keras.Model([left, right], layers.Subtract()([norm(dense(left)), norm(dense(right))]))


@network
def one_head_with_a_batchnorm_for_each_level(keras: Any) -> Any:
    """A convolution is shared by two levels, and each level has its own BatchNorm."""
    layers = keras.layers
    inputs = x = keras.Input((32, 32, 3))
    head, levels = layers.Conv2D(8, 3, padding="same", use_bias=False), []
    for _ in range(2):
        x = layers.Conv2D(8, 3, strides=2, padding="same")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        levels.append(layers.Reshape((-1, 8))(layers.ReLU()(layers.BatchNormalization()(head(x)))))
    return keras.Model(inputs, layers.Concatenate(axis=1)(levels))


@network
def one_tensor_as_two_outputs(keras: Any) -> Any:
    """The same tensor is given twice."""
    layers = keras.layers
    inputs = keras.Input((6,))
    x = layers.BatchNormalization()(layers.Dense(4)(inputs))
    return keras.Model(inputs, [x, x])


@network
def input_as_output(keras: Any) -> Any:
    """The model gives its input, too."""
    layers = keras.layers
    inputs = keras.Input((6,))
    return keras.Model(inputs, [layers.BatchNormalization()(layers.Dense(4)(inputs)), inputs])


@network
def input_that_nothing_reads(keras: Any) -> Any:
    """A second input leads nowhere."""
    layers = keras.layers
    used, unused = keras.Input((6,), name="first"), keras.Input((3,), name="second")
    return keras.Model([used, unused], layers.BatchNormalization()(layers.Dense(4)(used)))


@network
def shuffle_unit(keras: Any) -> Any:
    """ShuffleNet's unit: half of the channels by slices, and a shuffle by Reshape and Permute."""
    layers = keras.layers
    inputs = keras.Input((8, 8, 8))
    branch = layers.Conv2D(4, 1, use_bias=False)(inputs[..., 4:])
    branch = layers.ReLU()(layers.BatchNormalization()(branch))
    branch = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(branch))
    x = layers.Reshape((8, 8, 2, 4))(layers.Concatenate()([inputs[..., :4], branch]))
    x = layers.Reshape((8, 8, 8))(layers.Permute((1, 2, 4, 3))(x))
    return keras.Model(inputs, layers.Conv2D(3, 1)(layers.BatchNormalization()(x)))


@network
def window_partition(keras: Any) -> Any:
    """Windows by Reshape and Permute, Dense and BatchNorm in them, and back to an image."""
    layers = keras.layers
    inputs = keras.Input((8, 8, 4))
    x = layers.Reshape((2, 4, 2, 4, 6))(layers.BatchNormalization()(layers.Conv2D(6, 1)(inputs)))
    x = layers.Reshape((4, 16, 6))(layers.Permute((1, 3, 2, 4, 5))(x))
    x = layers.Reshape((2, 2, 4, 4, 6))(layers.BatchNormalization()(layers.Dense(6)(x)))
    x = layers.Reshape((8, 8, 6))(layers.Permute((1, 3, 2, 4, 5))(x))
    return keras.Model(inputs, layers.Conv2D(2, 1)(x))


@network
def cropped_skip(keras: Any) -> Any:
    """A U-Net without padding: the skip is cropped between two BatchNorms."""
    layers = keras.layers
    inputs = keras.Input((20, 20, 3))
    skip = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3)(inputs)))
    x = layers.BatchNormalization()(layers.Conv2D(8, 3)(layers.MaxPooling2D()(skip)))
    x = layers.BatchNormalization()(layers.Conv2DTranspose(4, 2, strides=2)(layers.ReLU()(x)))
    skip = layers.BatchNormalization()(layers.Cropping2D(2)(skip))
    x = layers.BatchNormalization()(layers.Concatenate()([x, skip]))
    return keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(x))


@network
def global_context(keras: Any) -> Any:
    """A mean over the image, tiled by RepeatVector, beside the features."""
    layers = keras.layers
    inputs = keras.Input((8, 8, 4))
    x = layers.BatchNormalization()(layers.Conv2D(4, 1)(inputs))
    context = layers.Reshape((8, 8, 4))(layers.RepeatVector(64)(layers.GlobalAveragePooling2D()(x)))
    x = layers.BatchNormalization()(layers.Concatenate()([x, context]))
    return keras.Model(inputs, layers.Conv2D(2, 1)(x))


@network
def size_of_any_image(keras: Any) -> Any:
    """An input of unknown height and width."""
    layers = keras.layers
    inputs = keras.Input((None, None, 3))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(inputs)))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, strides=2, padding="same")(x))
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
