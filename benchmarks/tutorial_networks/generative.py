"""Generators, discriminators and autoencoders."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tutorial_networks.network import conv_bn, network, operations


@network
def dcgan_generator(keras: Any) -> Any:
    """Transposed convolutions and LeakyReLU, a BatchNorm between each pair."""
    layers = keras.layers
    inputs = keras.Input((10,))
    x = layers.LeakyReLU()(layers.BatchNormalization()(layers.Dense(4 * 4 * 8, use_bias=False)(inputs)))
    x = layers.Reshape((4, 4, 8))(x)
    for filters in (8, 6):
        x = layers.Conv2DTranspose(filters, 4, strides=2, padding="same", use_bias=False)(x)
        x = layers.LeakyReLU(0.2)(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Conv2D(3, 5, padding="same", activation="tanh")(x))


@network
def dcgan_discriminator(keras: Any) -> Any:
    """Strided convolutions, BatchNorm, LeakyReLU, Flatten, one number."""
    layers = keras.layers
    inputs = keras.Input((16, 16, 3))
    x = layers.LeakyReLU(0.2)(layers.Conv2D(6, 4, strides=2, padding="same")(inputs))
    for filters in (8, 10):
        x = layers.BatchNormalization()(layers.Conv2D(filters, 4, strides=2, padding="same")(x))
        x = layers.LeakyReLU(0.2)(x)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(layers.Dropout(0.2)(layers.Flatten()(x))))


@network
def wgan_gp_generator(keras: Any) -> Any:
    """UpSampling and convolution, a BatchNorm also before tanh, a border cut off."""
    layers = keras.layers
    inputs = keras.Input((10,))
    x = layers.LeakyReLU(0.2)(layers.BatchNormalization()(layers.Dense(4 * 4 * 8, use_bias=False)(inputs)))
    x = layers.Reshape((4, 4, 8))(x)
    for filters in (8, 6):
        x = layers.LeakyReLU(0.2)(conv_bn(keras, layers.UpSampling2D(2)(x), filters, activation=None))
    x = conv_bn(keras, x, 1, activation="tanh")
    return keras.Model(inputs, layers.Cropping2D((2, 2))(x))


@network
def wgan_gp_discriminator(keras: Any) -> Any:
    """Zero padding first, convolutions of 5x5; BatchNorms where the flag of the block asks for them."""
    layers = keras.layers
    inputs = keras.Input((12, 12, 1))
    x = layers.ZeroPadding2D((2, 2))(inputs)
    for filters, normal in ((6, False), (8, True), (10, True)):
        x = layers.Conv2D(filters, 5, strides=2, padding="same")(x)
        x = layers.LeakyReLU(0.2)(layers.BatchNormalization()(x) if normal else x)
    return keras.Model(inputs, layers.Dense(1)(layers.Dropout(0.2)(layers.Flatten()(x))))


@network
def cyclegan_generator(keras: Any) -> Any:
    """Reflection padding by a layer of the user's own, residual blocks, transposed convolutions."""
    layers = keras.layers

    class ReflectionPadding2D(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, width: int = 1, **options: Any) -> None:
            super().__init__(**options)
            self.width = width

        def call(self, x: Any) -> Any:
            sides = [self.width, self.width]
            return tf.pad(x, [[0, 0], sides, sides, [0, 0]], mode="REFLECT")

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "width": self.width}

    inputs = keras.Input((12, 12, 3))
    x = conv_bn(keras, ReflectionPadding2D(3)(inputs), 6, 7, padding="valid")
    x = conv_bn(keras, x, 8, strides=2)
    for _ in range(2):
        y = conv_bn(keras, ReflectionPadding2D()(x), 8, padding="valid")
        y = conv_bn(keras, ReflectionPadding2D()(y), 8, padding="valid", activation=None)
        x = layers.add([x, y])
    x = layers.Conv2DTranspose(6, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    small = keras.initializers.RandomNormal(0.0, 0.0005)
    x = layers.Conv2D(3, 7, activation="tanh", kernel_initializer=small)(ReflectionPadding2D(3)(x))
    return keras.Model(inputs, x)


@network
def ddim_unet(keras: Any) -> Any:
    """Two inputs, a noisy image and its noise variance; BatchNorms without gamma and beta."""
    layers = keras.layers
    image, variance = keras.Input((16, 16, 3), name="image"), keras.Input((1, 1, 1), name="variance")
    embedded = layers.Lambda(_sinusoids, output_shape=(1, 1, 8))(variance)
    embedded = layers.UpSampling2D(16, interpolation="nearest")(embedded)
    x = layers.Concatenate()([layers.Conv2D(6, 1)(image), embedded])
    skips = []
    for filters in (6, 8):
        x = _residual(keras, x, filters)
        skips.append(x)
        x = layers.AveragePooling2D(2)(x)
    x = _residual(keras, x, 10)
    for filters in (8, 6):
        x = layers.UpSampling2D(2, interpolation="bilinear")(x)
        x = _residual(keras, layers.Concatenate()([x, skips.pop()]), filters)
    return keras.Model([image, variance], layers.Conv2D(3, 1)(x))


def _sinusoids(x: Any) -> Any:
    speeds = tf.constant([1.0, 2.0, 4.0, 8.0])
    return tf.concat([tf.sin(x * speeds), tf.cos(x * speeds)], axis=3)


def _residual(keras: Any, x: Any, filters: int) -> Any:
    layers = keras.layers
    beside = x if x.shape[3] == filters else layers.Conv2D(filters, 1)(x)
    x = layers.BatchNormalization(center=False, scale=False)(x)
    x = layers.Conv2D(filters, 3, padding="same", activation="swish")(x)
    return layers.Add()([layers.Conv2D(filters, 3, padding="same")(x), beside])


@network
def vae_encoder(keras: Any) -> Any:
    """Two outputs of equal shape: mean and logarithm of the variance."""
    layers = keras.layers
    inputs = keras.Input((16, 16, 1))
    x = layers.BatchNormalization()(layers.Conv2D(6, 3, activation="relu", strides=2, padding="same")(inputs))
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, activation="relu", strides=2, padding="same")(x))
    x = layers.Dense(8, activation="relu")(layers.Flatten()(x))
    return keras.Model(inputs, [layers.Dense(2, name="z_mean")(x), layers.Dense(2, name="z_log_var")(x)])


@network
def pixelcnn(keras: Any) -> Any:
    """Convolutions whose kernel is masked in the call, residual blocks of 1x1."""
    layers = keras.layers

    class PixelConvolution(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, kind: str, **options: Any) -> None:
            super().__init__()
            self.kind, self.convolution = kind, layers.Conv2D(**options)

        def build(self, shape: Any) -> None:
            self.convolution.build(shape)
            self.seen = [1.0] * 4 + [float(self.kind == "B")] + [0.0] * 4
            super().build(shape)

        def call(self, x: Any) -> Any:
            mask = tf.reshape(tf.constant(self.seen), (3, 3, 1, 1))
            y = tf.nn.conv2d(x, self.convolution.kernel * mask, 1, "SAME")
            return tf.nn.relu(y + self.convolution.bias)

    inputs = keras.Input((8, 8, 1))
    x = layers.BatchNormalization()(PixelConvolution("A", filters=6, kernel_size=3, padding="same")(inputs))
    for _ in range(2):
        y = layers.Conv2D(6, 1, activation="relu")(x)
        y = PixelConvolution("B", filters=6, kernel_size=3, padding="same")(y)
        x = layers.add([x, layers.BatchNormalization()(layers.Conv2D(6, 1, activation="relu")(y))])
    return keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(x))


@network
def vq_vae(keras: Any) -> Any:
    """Each pixel's vector replaced by the nearest of a code book."""
    ops, layers = operations(keras), keras.layers

    class VectorQuantizer(keras.layers.Layer):  # type: ignore[misc]
        def build(self, shape: Any) -> None:
            self.book = self.add_weight(name="book", shape=(int(shape[-1]), 6), initializer="random_normal")
            super().build(shape)

        def call(self, x: Any) -> Any:
            products = ops.matmul(x, self.book)
            distances = ops.sum(ops.square(self.book), axis=0) - 2 * products
            return tf.matmul(tf.one_hot(tf.argmin(distances, -1), 6), self.book, transpose_b=True)

    inputs = keras.Input((8, 8, 1))
    x = conv_bn(keras, inputs, 6, strides=2)
    quantized = VectorQuantizer()(layers.Conv2D(4, 1, padding="same")(x))
    x = layers.Conv2DTranspose(6, 3, strides=2, padding="same")(quantized)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Conv2DTranspose(1, 3, padding="same")(x))
