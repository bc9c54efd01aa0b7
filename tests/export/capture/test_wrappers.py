"""Layers around a layer: the BatchNorms inside fold where the wrapper can be opened, and have a verdict where not."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from kerasbn_testing.judging import assert_folds
from kerasbn_testing.statistics import data_for, randomise

from kerasbn_export import export_tflite, fold, verify
from kerasbn_export.folding.verdict import Reason

SHAPE = (6, 6, 3)


def sequence(keras, *layers):
    inputs = outputs = keras.Input(SHAPE)
    for layer in layers:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


@pytest.fixture
def spectral_normalization(keras_flavour, monkeypatch):
    """The class; that of tf_keras asks ``tf.keras``, which is Keras 3 here, for the class of its input's shape."""
    if keras_flavour.name == "tf_keras":
        monkeypatch.setattr(tf.keras.layers, "InputSpec", tf_keras.layers.InputSpec)
    return keras_flavour.keras.layers.SpectralNormalization


def twice(keras):
    """A wrapper whose call calls the layer inside, and the wrapped class."""

    class Twice(keras.layers.Wrapper):
        def call(self, x):
            return 2.0 * self.layer(x)

    return Twice


def past_call(keras):
    """A wrapper that calls ``call`` of the layer inside, as tfmot's do: Keras sees no call of that layer."""

    class PastCall(keras.layers.Wrapper):
        def call(self, x):
            return self.layer.call(x)

        def compute_output_shape(self, shape):
            return shape

    return PastCall


def two_inside(keras):
    """A layer of which one BatchNorm is called and the other's ``call`` is."""

    class Two(keras.layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.one = keras.layers.BatchNormalization(name="one")
            self.two = keras.layers.BatchNormalization(name="two")

        def build(self, shape):
            self.one.build(shape)
            self.two.build(shape)
            self.built = True

        def call(self, x):
            return self.two.call(self.one(x))

    return Two


def test_spectral_normalization_is_its_inner_layer(keras_flavour, spectral_normalization, rng, tmp_path):
    layers = keras_flavour.keras.layers
    model = sequence(
        keras_flavour.keras,
        spectral_normalization(layers.Conv2D(4, 3, padding="same")),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.BatchNormalization(),
        spectral_normalization(layers.Conv2D(3, 2), power_iterations=2),
    )
    randomise(model, rng)
    judged = assert_folds(model, data_for(model, rng))
    assert {name for verdict in judged.verdicts.values() for name in verdict.into} == {
        f"{wrapper.name}/{wrapper.layer.name}" for wrapper in (model.layers[1], model.layers[5])
    }
    export_tflite(model, tmp_path / "m.tflite")
    assert verify(model, tmp_path / "m.tflite")


def test_spectral_normalization_in_training_stays(keras_flavour, spectral_normalization, rng):
    layers = keras_flavour.keras.layers
    inputs = keras_flavour.keras.Input(SHAPE)
    wrapped = spectral_normalization(layers.Conv2D(4, 3))
    model = keras_flavour.keras.Model(inputs, layers.BatchNormalization()(wrapped(inputs, training=True)))
    randomise(model, rng)
    (verdict,) = fold(model).verdicts
    assert not verdict.gone
    assert "SpectralNormalization" in verdict.sentence


def test_a_wrapper_of_the_user_is_opened(keras_flavour, rng):
    layers = keras_flavour.keras.layers
    wrapped = twice(keras_flavour.keras)(layers.BatchNormalization())
    model = sequence(keras_flavour.keras, layers.Conv2D(4, 3), wrapped, layers.ReLU())
    randomise(model, rng)
    assert_folds(model, data_for(model, rng))


@pytest.mark.parametrize("kind", ["wrapper", "layer"])
def test_what_calls_past_the_layer_stays_closed(keras_flavour, rng, monkeypatch, kind):
    keras = keras_flavour.keras
    inside = past_call(keras)(keras.layers.BatchNormalization(name="one")) if kind == "wrapper" else two_inside(keras)()
    model = sequence(keras, keras.layers.Conv2D(4, 3), inside, keras.layers.ReLU())
    randomise(model, rng)
    names = [f"{inside.name}/{name}" for name in (["one"] if kind == "wrapper" else ["one", "two"])]
    result = fold(model)
    assert [verdict.layer for verdict in result.verdicts] == names
    assert {verdict.reason for verdict in result.verdicts} == {Reason.OPAQUE}
    data = data_for(model, rng)
    np.testing.assert_allclose(result.model(data), model(data), rtol=1e-5, atol=1e-5)
    monkeypatch.setattr("kerasbn_export.capture.flatten.calls_batchnorms", lambda *_: True)
    assert len(fold(model).verdicts) < len(names)  # silence


class Undescribed(tf_keras.layers.Wrapper):
    """As tfmot's QuantizeWrapper: no configuration makes it, and its layer keeps the kernel of the last call."""

    def __init__(self, layer, needed, **options):
        super().__init__(layer, **options)
        self.own_kernel = None
        self.needed = needed

    def build(self, shape):
        super().build(shape)
        self.own_kernel = self.layer.kernel

    def call(self, x):
        self.layer.kernel = self.own_kernel * self.needed
        return self.layer.call(x)

    def get_config(self):
        return {"layer": 3}


def test_the_symbolic_kernel_of_a_wrapper_is_not_copied(rng):
    layers = tf_keras.layers
    model = sequence(tf_keras, Undescribed(layers.Conv2D(4, 3), 0.5), layers.ReLU(), layers.BatchNormalization())
    randomise(model, rng)
    result = fold(model)
    assert [verdict.action.value for verdict in result.verdicts] == ["lowered"]
    data = data_for(model, rng)
    expected = np.asarray(model(data))
    np.testing.assert_allclose(result.model(data), expected, rtol=1e-5, atol=1e-5)
    model.layers[1].own_kernel.assign_add(model.layers[1].own_kernel)
    np.testing.assert_allclose(result.model(data), expected, rtol=1e-5, atol=1e-5)
