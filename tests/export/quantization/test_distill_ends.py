"""The ends of a tuned model: it learns there from the teacher, and its file has them, be they in float or not."""

import numpy as np
import pytest
from kerasbn_testing.statistics import randomise
from kerasbn_testing.tuning import images

from kerasbn_export import export_tflite, quantize_aware, verify
from kerasbn_export.tflite.file import read_tflite

TAPPED = {
    ("softmax", False): [True],
    ("softmax", True): [False],
    ("linear", False): [True],
    ("linear", True): [False],
    ("sigmoid of its own", False): [True],
    ("sigmoid of its own", True): [True],
    ("reshaped", False): [False],
    ("reshaped", True): [False],
    ("tanh", False): [False],
    ("tanh", True): [False],
    ("softmax, then no activation", False): [True],
    ("softmax, then no activation", True): [False],
    ("two", False): [True, True],
    ("two", True): [False, True],
}
"""Whether the scores of each output are known, by the end and by whether it stays in float."""


def ending_in(end, layers, x):
    """The outputs of a network behind some features."""
    match end:
        case "softmax":
            return layers.Dense(4, activation="softmax", name="end")(x)
        case "linear":
            return layers.Dense(4, name="end")(x)
        case "sigmoid of its own":
            return layers.Activation("sigmoid", name="gate")(layers.Dense(4, name="end")(x))
        case "reshaped":
            return layers.Reshape((2, 2))(layers.Dense(4, name="end")(x))
        case "tanh":
            return layers.Dense(4, activation="tanh", name="end")(x)
        case "softmax, then no activation":
            probabilities = layers.Dense(4, activation="softmax", name="end")(x)
            return layers.Activation("linear", dtype="float32")(probabilities)
        case "two":
            return [layers.Dense(4, activation="softmax", name="end")(x), layers.Dense(1, name="other")(x)]


def network(flavour, rng, end):
    """A convolution and such an end."""
    layers = flavour.keras.layers
    inputs = flavour.keras.Input((8, 8, 3))
    features = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(6, 3, strides=2)(inputs)))
    model = flavour.keras.Model(inputs, ending_in(end, layers, layers.Flatten()(features)))
    randomise(model, rng)
    return model


@pytest.mark.either_keras
@pytest.mark.parametrize("kept", [(), ("end",)])
@pytest.mark.parametrize("end", list(dict.fromkeys(end for end, _ in TAPPED)))
def test_it_comes_nearer_to_the_teacher(keras_flavour, rng, end, kept):
    model, x = network(keras_flavour, rng, end), images(rng)
    tuned = quantize_aware(model, x, distill=True, keep_float=kept)
    assert [tap is not None for tap in tuned._taps] == TAPPED[end, bool(kept)]
    for layer in tuned.layers:
        if layer.name.startswith(("end", "other")):
            layer.set_weights([0.2 * weight for weight in layer.get_weights()])
    tuned.compile(keras_flavour.keras.optimizers.Adam(1e-2))
    losses = tuned.fit(x, epochs=10, batch_size=8, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0] / 2


@pytest.mark.either_keras
def test_a_softmax_that_is_looked_at_inside_the_model_is_compared_by_its_scores(keras_flavour, rng):
    layers = keras_flavour.keras.layers
    inputs = keras_flavour.keras.Input((8, 8, 3))
    softmax = layers.Dense(4, activation="softmax", name="end")(layers.Flatten()(layers.Conv2D(4, 3)(inputs)))
    model = keras_flavour.keras.Model(inputs, [softmax, layers.Dense(2)(softmax)])
    tuned = quantize_aware(model, images(rng), distill=True)
    assert [tap.name for tap in tuned._taps] == ["end_range", "dense_range"]
    assert tuned._endings == ("softmax", "linear")


@pytest.mark.either_keras
@pytest.mark.parametrize("end", ["softmax", "linear", "tanh", "two"])
def test_an_end_in_float_is_an_end_of_the_file(keras_flavour, rng, tmp_path, end):
    model, x = network(keras_flavour, rng, end), images(rng)
    tuned = quantize_aware(model, x, keep_float=["end"])
    path = tmp_path / "m.tflite"
    result = export_tflite(tuned, path)
    assert result.float_ops_left["FULLY_CONNECTED"] == 1
    assert {port.dtype for port in read_tflite(path).outputs} == {"INT8"}
    assert verify(tuned, path, data=x)
    assert verify(model, path, data=x)
