"""A layer that Keras cannot write down is no reason to refuse: it is copied, or its function goes along as it is."""

import numpy as np
import pytest
from kerasbn_testing.judging import assert_unchanged, relative_error, state
from kerasbn_testing.statistics import data_for, randomise

from kerasbn.errors import UnsupportedModelError
from kerasbn_export import Reason, export_tflite, fold, verify


def model_with(flavour, layer, **end):
    keras, layers = flavour.keras, flavour.keras.layers
    inputs = keras.Input((8, 8, 3))
    x = layers.ReLU()(layers.BatchNormalization(name="bn")(layers.Conv2D(4, 3)(inputs)))
    return keras.Model(inputs, layers.Conv2D(3, 1, **end)(layer(x)))


def judged(model, rng):
    """Fold it and compare with `model.predict`; nothing of the model is changed or shared."""
    randomise(model, rng)
    data = data_for(model, rng)
    expected = model.predict(data, verbose=0)
    before = state(model)
    result = fold(model)
    assert all(verdict.gone or verdict.reason is Reason.OPAQUE for verdict in result.verdicts)
    assert relative_error([result.model.predict(data, verbose=0)], [expected]) <= 2e-5
    assert not {id(v) for v in model.weights} & {id(v) for v in result.model.weights}
    for variable in result.model.weights:
        variable.assign(np.zeros(variable.shape, "float32"))
    assert_unchanged(model, before)
    return result


def involution(flavour, *, dropout=False):
    """As in the Involution tutorial: the constructor asks for what `get_config` does not give."""
    layers = flavour.keras.layers

    class Involution(layers.Layer):
        def __init__(self, channel, **options):
            super().__init__(**options)
            self.channel = channel

        def build(self, shape):
            self.conv, self.drop = layers.Conv2D(self.channel, 3, padding="same"), layers.Dropout(0.3)
            self.conv.build(shape)
            self.gain = self.add_weight(name="gain", shape=(self.channel,), initializer="ones")
            self.built = True

        def call(self, x, training=None):
            y = self.conv(x) * self.gain
            return self.drop(y, training=training) if dropout else y

        def get_config(self):
            return layers.Layer.get_config(self)

    return Involution(4, name="involution")


@pytest.mark.sweep
@pytest.mark.parametrize("dropout", [False, True])
def test_a_configuration_that_lacks_an_argument(keras_flavour, rng, tmp_path, dropout):
    model = model_with(keras_flavour, involution(keras_flavour, dropout=dropout))
    judged(model, rng)
    export_tflite(model, tmp_path / "m.tflite")
    assert verify(model, tmp_path / "m.tflite", data=data_for(model, rng))


def test_a_copy_knows_the_weights_that_were_there_when_it_was_made(keras_flavour, rng):
    model = model_with(keras_flavour, involution(keras_flavour))
    result = judged(model, rng)
    first = fold(model).model
    data = data_for(model, rng)
    before = first.predict(data, verbose=0)
    model.get_layer("involution").gain.assign(np.zeros(4, "float32"))
    assert np.array_equal(first.predict(data, verbose=0), before)
    assert not np.array_equal(fold(model).model.predict(data, verbose=0), before)
    assert result.model.name == model.name


class Swish:
    """A function of the user's that is an object, which Keras cannot write down."""

    def __call__(self, x):
        return x / (1.0 + 2.718281828459045 ** (-x))


@pytest.mark.parametrize("where", ["Activation", "Dense"])
def test_an_object_as_activation(keras_flavour, rng, where):
    layers = keras_flavour.keras.layers
    layer = layers.Activation(Swish()) if where == "Activation" else layers.Dense(5, activation=Swish())
    judged(model_with(keras_flavour, layer), rng)


def test_an_activation_that_was_taken_away(keras_flavour, rng, tmp_path):
    """The Grad-CAM tutorial removes its softmax so."""
    model = model_with(keras_flavour, lambda x: x, activation="softmax")
    model.layers[-1].activation = None
    judged(model, rng)
    model = model_with(keras_flavour, lambda x: x, activation="softmax")
    model.layers[-1].activation = None
    randomise(model, rng)
    export_tflite(model, tmp_path / "m.tflite")
    assert verify(model, tmp_path / "m.tflite", data=data_for(model, rng))


def test_a_batchnorm_behind_an_object_stays_and_says_so(keras_flavour, rng):
    layers = keras_flavour.keras.layers
    inputs = keras_flavour.keras.Input((4,))
    x = layers.BatchNormalization(name="bn")(layers.Dense(3, activation=Swish(), name="dense")(inputs))
    model = keras_flavour.keras.Model(inputs, x)
    randomise(model, rng)
    (verdict,) = fold(model).verdicts
    assert verdict.reason.value == "activation"
    assert "'Swish'" in verdict.sentence


def test_what_exists_in_half_precision_alone_is_refused(keras_flavour, tmp_path):
    """A copy keeps its precision: a file needs float32, and for that the layer has to be made anew."""
    keras = keras_flavour.keras
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = model_with(keras_flavour, involution(keras_flavour))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    with pytest.raises(UnsupportedModelError, match=r"'involution' .* cannot be made again from its get_config\(\)"):
        export_tflite(model, tmp_path / "m.tflite")


def padded(flavour, *, fails):
    """As kimm's reparameterizable convolution: it changes the argument that its configuration then tells."""
    layers = flavour.keras.layers

    class Padded(layers.Layer):
        def __init__(self, padding=None, **options):
            super().__init__(**options)
            self.pad = None
            if padding is None:
                padding, self.pad = "valid", layers.ZeroPadding2D(1)
            self.padding = padding
            self.conv, self.norm = layers.Conv2D(4, 3, padding=padding), layers.BatchNormalization()
            self.last = layers.Conv2D(4, 1)

        def call(self, x):
            if "KerasTensor" in type(x).__name__:
                raise TypeError("not on symbols")  # so that it stays closed
            if self.pad is None and fails:
                return x + self.conv(x)
            return self.last(self.norm(self.conv(x if self.pad is None else self.pad(x))))

        def get_config(self):
            return {**super().get_config(), "padding": self.padding}

    return Padded(name="padded")


@pytest.mark.parametrize("fails", [True, False])
def test_a_configuration_that_makes_another_layer(keras_flavour, rng, fails):
    """What it makes cannot be called, or computes something else: both are seen, and the layer is copied."""
    judged(model_with(keras_flavour, padded(keras_flavour, fails=fails)), rng)
