"""ReLUs of one value that compute the same become one, as TensorFlow's optimizer makes them before it fuses."""

import numpy as np
import pytest
from kerasbn_testing.judging import assert_folds
from kerasbn_testing.statistics import data_for, randomise

from kerasbn_export import export_tflite, fold

PAIRS = {
    "two layers": (("ReLU", {}), ("ReLU", {}), 1),
    "a layer and a name": (("ReLU", {}), ("Activation", {"activation": "relu"}), 1),
    "two of ReLU6": (("ReLU", {"max_value": 6.0}), ("ReLU", {"max_value": 6}), 1),
    "ReLU and ReLU6": (("ReLU", {}), ("ReLU", {"max_value": 6.0}), 2),
    "another slope": (("ReLU", {}), ("ReLU", {"negative_slope": 0.5}), 2),
    "another function": (("Activation", {"activation": "tanh"}), ("Activation", {"activation": "tanh"}), 2),
}


def forked(keras, one, two, *, output=False):
    """A convolution of which two activations are taken, each by a convolution of its own."""
    inputs = keras.Input((6, 5, 3))
    x = keras.layers.Conv2D(4, 3)(inputs)
    first, second = (getattr(keras.layers, kind)(**options)(x) for kind, options in (one, two))
    joined = keras.layers.Add()([keras.layers.Conv2D(4, 2)(first), keras.layers.Conv2D(4, 2)(second)])
    return keras.Model(inputs, [joined, second] if output else joined)


def activations(model):
    return [layer for layer in model.layers if type(layer).__name__ in ("ReLU", "Activation")]


@pytest.mark.either_keras
@pytest.mark.parametrize("name", PAIRS)
def test_what_is_the_same_becomes_one_and_nothing_else(keras_flavour, rng, name):
    *pair, left = PAIRS[name]
    model = forked(keras_flavour.keras, *pair)
    randomise(model, rng)
    assert len(activations(fold(model).model)) == left
    assert_folds(model, data_for(model, rng))


def test_an_output_of_the_model_stays(keras_flavour, rng):
    model = forked(keras_flavour.keras, *PAIRS["two layers"][:2], output=True)
    randomise(model, rng)
    folded = assert_folds(model, data_for(model, rng)).model
    assert len(activations(folded)) == 2
    assert [tensor.shape for tensor in folded.outputs] == [tensor.shape for tensor in model.outputs]


@pytest.mark.either_keras
def test_the_one_is_fused_and_no_companion_is_given(keras_flavour, rng, tmp_path):
    """Counted as two users of the convolution, both would get a pooling that nothing needs."""
    model = forked(keras_flavour.keras, *PAIRS["two layers"][:2])
    randomise(model, rng)
    samples = rng.normal(size=(8, 6, 5, 3)).astype(np.float32)
    ops = export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=samples).ops
    assert ops == {"CONV_2D": 3, "ADD": 1}
