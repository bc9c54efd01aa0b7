"""Small networks that are trained for their int8 file, and what breaks them."""

from __future__ import annotations

import numpy as np

from kerasbn_testing.statistics import randomise


def every_place(flavour, rng, *, fixed_joined=True):
    """Every kind of place in one network: fused and not, shared, fixed, joined, one value with two uses."""
    layers = flavour.keras.layers
    x = inputs = flavour.keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="first")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="bn")(x))
    y = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="depthwise")(x)
    y = layers.Activation("swish")(layers.BatchNormalization()(y))
    y = layers.SeparableConv2D(6, 3, padding="same", activation="relu", name="separable")(y)
    x = layers.Add(name="sum")([x, y])
    x = layers.AveragePooling2D(2)(x)
    z = layers.Conv2DTranspose(4, 2, strides=2, name="transposed")(layers.MaxPooling2D()(x))
    x = layers.Concatenate(name="joined")([x, layers.Activation("tanh" if fixed_joined else "relu")(z)])
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 1, activation="relu", name="last")(x))
    outputs = layers.Dense(4, activation="softmax", name="classes")(x)
    model = flavour.keras.Model(inputs, outputs)
    randomise(model, rng)
    return model


def small(flavour, rng):
    """A convolution and a Dense."""
    layers = flavour.keras.layers
    inputs = flavour.keras.Input((8, 8, 3), name="image")
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(6, 3, strides=2)(inputs)))
    model = flavour.keras.Model(inputs, layers.Dense(4, activation="softmax")(layers.Flatten()(x)))
    randomise(model, rng)
    return model


def images(rng, count=48):
    """Inputs of `every_place`."""
    return rng.normal(size=(count, 8, 8, 3)).astype("float32")


def train(model, x, rng, epochs=1, **options):
    """A short training on labels that mean nothing."""
    model.compile("adam", "sparse_categorical_crossentropy")
    return model.fit(x, rng.integers(0, 4, len(x)), epochs=epochs, batch_size=8, verbose=0, **options)


def steps_apart(file, model, x):
    """The largest difference of the one int8 output from the model, in steps, on LiteRT's reference kernels."""
    from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner

    runner = TFLiteRunner(file.read_bytes(), "file", backend="reference")
    grid = runner.outputs[0].quantization
    found = grid.store(runner.run([grid_of(runner, x)])[0]).astype(int)
    wanted = grid.store(np.asarray(model(x, training=False))).astype(int)
    return int(np.abs(found - wanted).max())


def grid_of(runner, x):
    """The samples on the grid of the input."""
    grid = runner.inputs[0].quantization
    return grid.restore(grid.store(x)) if grid else x
