"""A Resizing works at inference: it stays, also where the size of its input is open, and its shape is believed."""

import pytest
from kerasbn_testing.judging import relative_error
from kerasbn_testing.statistics import randomise

from kerasbn_export import fold
from kerasbn_export.capture import augmentation, capture

SIZES = sorted({*augmentation.OPEN_SIZES, 9})


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("given", [None, 6])
def test_a_resizing_stays_whatever_its_size(keras_flavour, rng, given, size):
    """The network is asked with images of a size that an open input is tried with, too."""
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    inputs = keras.Input((given, given, 3))
    x = layers.Resizing(size, size, "nearest")(layers.Conv2D(4, 3, padding="same")(inputs))
    model = keras.Model(inputs, layers.BatchNormalization()(x))
    randomise(model, rng)
    data = rng.normal(size=(2, given or 7, given or 7, 3)).astype("float32")
    result = fold(model)
    assert "Resizing" in [type(layer).__name__ for layer in result.model.layers]
    assert all(verdict.gone for verdict in result.verdicts)
    assert relative_error([result.model.predict(data, verbose=0)], [model.predict(data, verbose=0)]) <= 1e-6


def test_sizes_behind_a_resizing_are_known(keras_flavour):
    """A form that needs a static size is open to the BatchNorms behind it."""
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    inputs = keras.Input((6, 6, 3))
    model = keras.Model(inputs, layers.Conv2D(4, 3, padding="same")(layers.Resizing(12, 10)(inputs)))
    assert [call.output.shape[1:3] for call in capture(model)] == [(6, 6), (12, 10), (12, 10)]


def test_a_resizing_in_a_gate(keras_flavour, rng):
    """As GhostNetV2 has it: attention at half the size, brought back by a Resizing."""
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    inputs = keras.Input((24, 24, 3))
    x = layers.Resizing(12, 12, "nearest")(inputs)
    gate = layers.AveragePooling2D(2)(x)
    gate = layers.BatchNormalization()(layers.Conv2D(4, 1)(gate))
    gate = layers.Resizing(12, 12, "nearest")(layers.Activation("sigmoid")(gate))
    x = layers.BatchNormalization()(layers.Conv2D(4, 1)(x))
    model = keras.Model(inputs, layers.Multiply()([x, gate]))
    randomise(model, rng)
    data = rng.normal(size=(2, 24, 24, 3)).astype("float32")
    result = fold(model)
    assert all(verdict.gone for verdict in result.verdicts)
    assert relative_error([result.model.predict(data, verbose=0)], [model.predict(data, verbose=0)]) <= 1e-6
