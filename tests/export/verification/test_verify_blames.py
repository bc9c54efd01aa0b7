"""A blame has to explain the file: operations that were fused are seen, and a tensor that is no layer's blames none."""

import numpy as np
import pytest
import tensorflow as tf

from kerasbn_export import fold, verify
from kerasbn_export.verification.network.elementwise import is_elementwise, passed_on

pytestmark = pytest.mark.either_keras

CUSTOM = "kerasbn_tests"


def registered_layers(keras):
    """Layers of a user's own: a factor for each channel, and a ReLU that stops at 6."""

    @keras.utils.register_keras_serializable(package=CUSTOM)
    class Factor(keras.layers.Layer):
        def build(self, shape):
            self.gamma = self.add_weight(name="gamma", shape=(shape[-1],), initializer="ones")

        def call(self, x):
            return x * self.gamma

    @keras.utils.register_keras_serializable(package=CUSTOM)
    class Stopped(keras.layers.Layer):
        def call(self, x):
            return tf.minimum(tf.nn.relu(x), 6.0)

    return Factor, Stopped


def operations(flavour):
    """What follows the convolutions, by name: layers of known and unknown classes, and bare operations."""
    keras, (factor, stopped) = flavour.keras, registered_layers(flavour.keras)
    bare = keras.ops.relu6 if flavour.name == "keras" else tf.nn.relu6
    clipped = keras.ops.clip if flavour.name == "keras" else tf.clip_by_value
    relu = keras.layers.ReLU
    return {
        "factor": lambda x: relu(name="relu_0")(factor(name="factor")(x)),
        "stopped": lambda x: stopped(name="stopped")(x),
        "clip and factor": lambda x: clipped(factor(name="factor")(x), 0.0, 6.0),
        "constant": lambda x: bare(x * np.array([0.5, -2.0, 3.0, 1.0, 0.1, -0.7], "float32")),
    }


def network(flavour, rng, between):
    """Convolution, BatchNorm, what is asked for, twice, and a Dense layer."""
    layers = flavour.keras.layers
    x = image = flavour.keras.Input((9, 9, 3), name="image")
    for stage in range(2):
        x = layers.Conv2D(6, 3, name=f"conv_{stage}")(x)
        x = between[stage](flavour.batch_normalization(name=f"norm_{stage}")(x))
    model = flavour.keras.Model(image, layers.Dense(4, name="scores")(layers.Flatten(name="flat")(x)))
    for layer in model.layers:
        layer.set_weights([_drawn(rng, layer, array.shape) for array in layer.get_weights()])
    return model


def _drawn(rng, layer, shape):
    if type(layer).__name__ == "Conv2D" or len(shape) == 2:
        return rng.normal(0, 1 / np.sqrt(max(1, np.prod(shape[:-1]))), shape)
    return (
        rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 2.0, shape)
        if layer.name == "factor"
        else _positive(rng, shape)
    )


def _positive(rng, shape):
    return rng.uniform(0.3, 1.5, shape)


def file_of(model, folder, name="model.tflite"):
    path = folder / name
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(fold(model).model).convert())
    return path


def one_wrong(model, layer, weight, factor):
    """The model with one channel of a weight changed, and the weights to put back."""
    right = model.get_layer(layer).get_weights()
    wrong = [array.copy() for array in right]
    wrong[weight][..., 2] *= factor
    model.get_layer(layer).set_weights(wrong)
    return right


@pytest.mark.sweep
@pytest.mark.parametrize("kind", ["factor", "stopped", "clip and factor", "constant"])
def test_what_was_fused_is_seen(keras_flavour, rng, tmp_path, kind):
    model = network(keras_flavour, rng, [operations(keras_flavour)[kind], keras_flavour.keras.layers.ReLU(name="relu")])
    right = file_of(model, tmp_path)
    report = verify(model, right)
    assert report, report.verdict
    kept = one_wrong(model, "conv_0", 0, 1.05)
    wrong = file_of(model, tmp_path, "wrong.tflite")
    model.get_layer("conv_0").set_weights(kept)
    report = verify(model, wrong)
    assert report.exit_code == 1
    assert report.first_divergence.layer == "conv_0", report.verdict


def test_a_file_that_has_an_activation_too_many_differs(keras_flavour, rng, tmp_path):
    """The same operation is no excuse where the model does not have it."""
    relu = keras_flavour.keras.layers.ReLU(name="relu")
    model = network(keras_flavour, rng, [keras_flavour.keras.layers.Activation("linear", name="linear"), relu])
    clipping = network(keras_flavour, rng, [operations(keras_flavour)["stopped"], relu])
    clipping.set_weights(model.get_weights())
    report = verify(model, file_of(clipping, tmp_path))
    assert report.exit_code == 1
    assert report.first_divergence.layer == "conv_0", report.verdict


def test_a_tensor_that_is_no_layers_blames_none(keras_flavour, rng, tmp_path, monkeypatch):
    """Not even where nothing is known of what was fused, nor of what moves; and without that test it would."""
    relu = keras_flavour.keras.layers.ReLU(name="relu")
    model = network(keras_flavour, rng, [operations(keras_flavour)["factor"], relu])
    right = file_of(model, tmp_path)
    kept = one_wrong(model, "conv_1", 1, 1.5)
    wrong = file_of(model, tmp_path, "wrong.tflite")
    model.get_layer("conv_1").set_weights(kept)
    monkeypatch.setattr("kerasbn_export.verification.layers.steps.DEPTH", 0)
    monkeypatch.setattr("kerasbn_export.verification.layers.locate.settled", lambda _, found, *__: list(found))
    report = verify(model, right)
    assert report, report.verdict
    assert verify(model, wrong).first_divergence.layer == "conv_1"
    monkeypatch.setattr("kerasbn_export.verification.layers.locate.unexplained", lambda *_: set())
    assert verify(model, right).first_divergence.layer == "conv_0"


def test_nothing_is_run_on_where_all_layers_pass(keras_flavour, rng, tmp_path, monkeypatch):
    relu = keras_flavour.keras.layers.ReLU
    model = network(keras_flavour, rng, [relu(name="relu_0"), relu(name="relu_1")])
    monkeypatch.setattr("kerasbn_export.verification.layers.explained._distances", None)
    assert verify(model, file_of(model, tmp_path))


def test_an_activation_of_the_users_own_has_a_bound(keras_flavour, rng, tmp_path):
    @keras_flavour.keras.utils.register_keras_serializable(package=CUSTOM)
    def bent(x):
        return 1.7 * tf.tanh(0.6 * x) + 0.1 * x * x

    layers = keras_flavour.keras.layers
    image = keras_flavour.keras.Input((7,), name="image")
    x = layers.Dense(6, activation=bent, name="inside")(image)
    x = layers.Activation(bent, name="bent")(layers.Dense(6, name="before")(x))
    model = keras_flavour.keras.Model(image, layers.Dense(3, name="scores")(x))
    model.set_weights([rng.normal(0, 0.3, array.shape) for array in model.get_weights()])
    report = verify(model, file_of(model, tmp_path))
    assert report, report.verdict
    assert all(layer.rounding is not None for layer in report.per_layer if layer.layer in ("inside", "scores"))
    kept = one_wrong(model, "inside", 0, 1.001)
    wrong = file_of(model, tmp_path, "wrong.tflite")
    model.get_layer("inside").set_weights(kept)
    assert verify(model, wrong).first_divergence.layer == "inside"


@pytest.mark.parametrize(("function", "elementwise"), [
    (np.tanh, True), (lambda x: x * np.arange(5), True), (lambda x: np.maximum(x, 0), True),
    (lambda x: x[:, ::-1], False), (lambda x: x - x.mean(), False), (lambda x: x[:, :2], False),
    (lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True), False), (lambda x: np.cumsum(x, -1), False),
])  # fmt: skip
def test_what_is_elementwise(rng, function, elementwise):
    assert is_elementwise(function, rng.normal(size=(3, 5))) is elementwise


@pytest.mark.parametrize("function", [np.tanh, np.exp, np.abs, np.square, np.sin, lambda x: np.where(x > 0, 9 * x, 0)])
def test_an_error_is_passed_on_as_far_as_the_slope_says(rng, function):
    at, bound = rng.normal(size=(50,)), np.full(50, 1e-4)
    at[:2] = [0.0, 5e-5]
    allowed = passed_on(function, at, bound)
    for part in (-1.0, -0.5, 0.5, 1.0):
        assert np.all(np.abs(function(at + part * bound) - function(at)) <= allowed)
    assert np.all(allowed <= 40 * 1e-4 + 1e-5), "a bound that allows anything is none"
