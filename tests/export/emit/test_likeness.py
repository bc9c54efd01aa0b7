"""A configuration that makes another layer: the layer that is there is what counts, in the fold and as the yardstick.

As kimm's reparameterizable convolution, each resolves an argument in its constructor and tells what it resolved.
"""

import functools

import numpy as np
import pytest
import tensorflow as tf
from kerasbn_testing.judging import assert_unchanged, relative_error, state
from kerasbn_testing.statistics import data_for, randomise

from kerasbn.errors import UnsupportedModelError
from kerasbn_export import export_tflite, fold, verify
from kerasbn_export.capture import capture
from kerasbn_export.verification.network.network import Network


class Times:
    """A function that is an object."""

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x):
        return x * self.factor


def times(factor):
    return lambda x: x * factor


def by_default(factor):
    """A default that is an array has no truth value."""

    def scale(x, by):
        return x * by

    scale.__defaults__ = (np.full(4, factor, "float32"),)
    return scale


RESOLVED = {
    "activation of Keras": lambda layers, first: layers.Dense(4, activation="relu" if first else "tanh"),
    "option of a layer": lambda layers, first: layers.LeakyReLU(0.1 if first else 0.5),
    "padding": lambda layers, first: layers.Conv1D(4, 3, padding="same" if first else "causal"),
    "closure": lambda _, first: times(3.0 if first else 1.0),
    "closure over an array": lambda _, first: times(np.float32(3.0 if first else 1.0)),
    "array by default": lambda _, first: by_default(3.0 if first else 1.0),
    "object": lambda _, first: Times(3.0 if first else 1.0),
    "partial": lambda _, first: functools.partial(tf.multiply, 3.0 if first else 1.0),
    "layer inside": lambda layers, first: layers.Activation(tf.abs) if first else layers.ReLU(),
}


def resolving(flavour, make, *, closed=True):
    layers = flavour.keras.layers

    class Resolving(layers.Layer):
        def __init__(self, choice=None, **options):
            super().__init__(**options)
            self.inner = make(layers, choice is None)
            self.choice = choice or "other"

        def build(self, shape):
            if hasattr(self.inner, "build"):
                self.inner.build(shape)
            self.built = True

        def call(self, x):
            if closed and "KerasTensor" in type(x).__name__:
                raise TypeError("not on symbols")
            return self.inner(x)

        def compute_output_shape(self, shape):
            return shape

        def get_config(self):
            return {**super().get_config(), "choice": self.choice}

    return Resolving(name="resolving")


def around(flavour, layer):
    keras, layers = flavour.keras, flavour.keras.layers
    inputs = keras.Input((6, 4))
    x = layers.BatchNormalization()(layers.Dense(4)(inputs))
    return keras.Model(inputs, layers.Dense(3, name="last")(layer(x)))


@pytest.mark.parametrize("kind", RESOLVED)
def test_the_layer_that_is_there_is_folded_around(keras_flavour, rng, kind):
    model = around(keras_flavour, resolving(keras_flavour, RESOLVED[kind]))
    randomise(model, rng)
    data = data_for(model, rng)
    expected = model.predict(data, verbose=0)
    before = state(model)
    assert relative_error([fold(model).model.predict(data, verbose=0)], [expected]) <= 2e-5
    assert_unchanged(model, before)


@pytest.mark.parametrize("kind", ["activation of Keras", "closure over an array"])
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_it_is_the_yardstick_of_a_file(keras_flavour, rng, tmp_path, kind, precision):
    """What the referee made of it gave a record that failed, in a file that was right."""
    model = around(keras_flavour, resolving(keras_flavour, RESOLVED[kind]))
    randomise(model, rng)
    data = rng.normal(size=(32, 6, 4)).astype("float32")
    options = {"calibration": data} if precision == "int8" else {}
    export_tflite(model, tmp_path / "m.tflite", precision=precision, **options)
    report = verify(model, tmp_path / "m.tflite", data=data)
    assert report
    assert all(record.passed for record in report.per_layer)


@pytest.mark.parametrize("bias", [True, False])
def test_an_activation_that_is_such_a_layer(keras_flavour, rng, bias):
    """A copy has the old weights, and the Dense that has this activation is to get others."""
    layers = keras_flavour.keras.layers
    activation = resolving(keras_flavour, RESOLVED["option of a layer"], closed=False)
    model = around(keras_flavour, layers.Dense(4, use_bias=bias, activation=activation))
    randomise(model, rng)
    with pytest.raises(UnsupportedModelError, match=r"'dense\w*' .*: its get_config\(\) makes another layer"):
        fold(model)


class TestRightOnes:
    """What its configuration makes again is made again: a copy could not be saved, and has one precision."""

    @staticmethod
    def folded(flavour, rng, call):
        class Mine(flavour.keras.layers.Layer):
            def __init__(self, **options):
                super().__init__(**options)
                self.calls = 0

            def call(self, x):
                if "KerasTensor" in type(x).__name__:
                    raise TypeError("not on symbols")
                self.calls += 1
                return call(x)

            def compute_output_shape(self, shape):
                return shape

        model = around(flavour, Mine(name="mine"))
        randomise(model, rng)
        before, calls = state(model), model.get_layer("mine").calls
        folded = fold(model).model
        assert_unchanged(model, before)
        assert model.get_layer("mine").calls == calls
        return folded.get_layer("mine")

    def test_one_that_counts_its_calls(self, keras_flavour, rng):
        assert type(self.folded(keras_flavour, rng, tf.abs)).__name__ == "Mine"

    def test_one_that_draws_numbers(self, keras_flavour, rng):
        drawing = self.folded(keras_flavour, rng, lambda x: x + tf.random.normal((4,)))
        assert type(drawing).__name__ == "Mine"

    def test_one_that_takes_no_drawn_numbers(self, keras_flavour, rng):
        def call(x):
            tf.debugging.assert_greater(x, 1e6)
            return tf.abs(x)

        assert type(self.folded(keras_flavour, rng, call)).__name__ == "Mine"

    def test_one_that_is_not_a_number_anywhere(self, keras_flavour, rng):
        assert type(self.folded(keras_flavour, rng, lambda x: x * float("nan"))).__name__ == "Mine"

    def test_one_in_half_precision(self, keras_flavour, rng):
        """Made again in float64 for the yardstick, it differs by the rounding of its own precision."""
        keras = keras_flavour.keras
        keras.mixed_precision.set_global_policy("mixed_float16")
        try:
            model = around(keras_flavour, resolving(keras_flavour, lambda *_: tf.math.sigmoid))
        finally:
            keras.mixed_precision.set_global_policy("float32")
        randomise(model, rng)
        network = Network(capture(model))
        network.run([data_for(model, rng)])
        assert not network.in_float32

    def test_one_that_is_made_into_another_is_the_yardstick_itself(self, keras_flavour, rng):
        model = around(keras_flavour, resolving(keras_flavour, RESOLVED["option of a layer"]))
        randomise(model, rng)
        network = Network(capture(model))
        network.run([data_for(model, rng)])
        assert [layer.path for layer in network.in_float32] == ["resolving"]
