"""Nothing random is in a tuned model: in training mode it gives the same numbers twice, those of inference."""

import numpy as np
import pytest
from kerasbn_testing.statistics import randomise
from kerasbn_testing.tuning import images

from kerasbn_export import quantize_aware

RATE = 0.5
LAYERS = {
    "Dropout": lambda layers: layers.Dropout(RATE),
    "SpatialDropout2D": lambda layers: layers.SpatialDropout2D(RATE),
    "GaussianNoise": lambda layers: layers.GaussianNoise(RATE),
    "GaussianDropout": lambda layers: layers.GaussianDropout(RATE),
    "AlphaDropout": lambda layers: layers.AlphaDropout(RATE),
    "RandomFlip": lambda layers: layers.RandomFlip(),
    "RandomTranslation": lambda layers: layers.RandomTranslation(0.2, 0.2),
}


def given_twice(model, x):
    """The outputs in training mode, twice, and those of inference."""
    return [np.asarray(model(x, training=training)) for training in (True, True, False)]


@pytest.mark.either_keras
@pytest.mark.parametrize("noise", LAYERS)
def test_layers_that_are_random_are_gone(keras_flavour, rng, noise):
    layers, x = keras_flavour.keras.layers, images(rng, 16)
    inputs = keras_flavour.keras.Input((8, 8, 3))
    y = layers.Conv2D(4, 3, padding="same")(LAYERS[noise](layers)(inputs))
    y = LAYERS[noise](layers)(layers.ReLU()(layers.BatchNormalization()(y)))
    model = keras_flavour.keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(y)))
    randomise(model, rng)
    once, twice, inference = given_twice(quantize_aware(model, x, ranges="learned"), x)
    np.testing.assert_array_equal(once, twice)
    np.testing.assert_allclose(once, inference, atol=1e-5)


def test_a_dropout_inside_a_layer_is_gone(keras_flavour, rng):
    layers = keras_flavour.keras.layers
    x = rng.normal(size=(16, 6, 8)).astype("float32")
    inputs = keras_flavour.keras.Input((6, 8))
    y = layers.MultiHeadAttention(2, 4, dropout=RATE, name="attention")(
        layers.Dense(8)(inputs), layers.Dense(8)(inputs)
    )
    y = layers.LSTM(4, dropout=RATE, name="lstm")(layers.LayerNormalization(name="norm")(y))
    model = keras_flavour.keras.Model(inputs, layers.Dense(3)(y))
    tuned = quantize_aware(model, x, ranges="learned", keep_float=["attention", "norm", "lstm"])
    once, twice, inference = given_twice(tuned, x)
    np.testing.assert_allclose(once, twice, atol=1e-6)
    np.testing.assert_allclose(once, inference, atol=1e-5)


def test_what_is_called_in_training_mode_stays(keras_flavour, rng):
    layers, x = keras_flavour.keras.layers, images(rng, 16)
    inputs = keras_flavour.keras.Input((8, 8, 3))
    y = layers.Dropout(RATE)(layers.Conv2D(4, 3)(inputs), training=True)
    model = keras_flavour.keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(y)))
    once, twice, _ = given_twice(quantize_aware(model, x, ranges="learned"), x)
    assert np.abs(once - twice).max() > 1e-3
