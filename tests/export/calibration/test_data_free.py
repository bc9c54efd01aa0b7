"""Samples made from BatchNorm statistics have these statistics, come from the seed, and never pass for data."""

import json

import numpy as np
import pytest

from kerasbn.errors import CalibrationError
from kerasbn.flavour import Flavour
from kerasbn_export import export_tflite
from kerasbn_export.calibration.data_free import SAMPLES, data_free_calibration, descent, objective
from kerasbn_export.conversion.provenance import read_provenance
from kerasbn_export.conversion.servable import model_inputs
from kerasbn_export.ends import ModelInput
from kerasbn_export.tflite.file import read_tflite

pytestmark = pytest.mark.either_keras


@pytest.fixture(autouse=True)
def fewer_steps(monkeypatch):
    monkeypatch.setattr(descent, "STEPS", 120)


def trained(flavour, rng, *, activation="softmax"):
    """A network whose BatchNorms have seen images between 2 and 6; one BatchNorm is called twice."""
    layers, norm = flavour.keras.layers, flavour.keras.layers.BatchNormalization
    image = flavour.keras.Input((6, 6, 2), name="image")
    x = norm(momentum=0.0, name="first")(layers.Conv2D(4, 3, name="conv")(image))
    x = layers.ReLU()(x)
    twice = norm(momentum=0.0, name="twice")
    x = layers.Add()([twice(layers.Conv2D(3, 1)(x)), twice(layers.Conv2D(3, 1)(x))])
    x = layers.Dense(3, activation=activation, name="scores")(layers.Flatten()(layers.ReLU()(x)))
    model = flavour.keras.Model(image, x)
    for layer in (model.get_layer("first"), twice):
        gamma = rng.normal(size=layer.gamma.shape) + 1.0
        gamma[0] = -abs(gamma[0])
        layer.gamma.assign(gamma)
    model(rng.uniform(2, 6, size=(256, 6, 6, 2)).astype("float32"), training=True)
    return model


def distance(model, arrays):
    """How far mean and deviation of what enters the first BatchNorm are from what it remembers, in deviations."""
    norm = model.get_layer("first")
    values = np.asarray(model.get_layer("conv")(arrays), np.float64).reshape(-1, 4)
    sigma = np.sqrt(np.asarray(norm.moving_variance, np.float64))
    means = np.abs(values.mean(0) - np.asarray(norm.moving_mean)) / sigma
    return max(means.max(), np.abs(values.std(0) / sigma - 1).max())


def test_the_samples_have_the_remembered_statistics(keras_flavour, rng, monkeypatch):
    monkeypatch.setattr(objective, "CONFIDENCE", 0.0)
    model = trained(keras_flavour, rng)
    before = [weight.copy() for weight in model.get_weights()]
    made = data_free_calibration(model, model_inputs(model))
    assert made.arrays[0].shape == (SAMPLES, 6, 6, 2)
    assert distance(model, made.arrays[0]) < 0.5
    assert distance(model, rng.normal(size=(SAMPLES, 6, 6, 2)).astype("float32")) > 1
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_some_samples_are_clearer_than_others(keras_flavour, rng, monkeypatch):
    """The samples of large weight have the larger scores for their class; without a spread they do not."""
    model = trained(keras_flavour, rng, activation=None)
    place = np.arange(SAMPLES) * objective.GOLDEN % 1

    def advantage():
        scores = np.asarray(model(data_free_calibration(model, model_inputs(model)).arrays[0]))
        own = scores[np.arange(SAMPLES), np.arange(SAMPLES) % 3] - scores.mean(1)
        return own[place > 0.75].mean() / own[place < 0.25].mean()

    assert advantage() > 1.5
    monkeypatch.setattr(objective, "SPREAD", 1.0)
    assert advantage() < 1.3


@pytest.mark.parametrize(("scale", "offset"), [(0.02, 0.01), (300.0, -500.0)])
def test_the_search_begins_near_the_remembered_scale_and_offset(scale, offset):
    """The loss is the distance in scale and offset; the noise ends up near the best, or where it was if none is."""
    one = descent._Input(Flavour("keras"), np.zeros((2, 1), np.float32), None)

    def loss():
        return abs(np.log(float(one.scale) / scale)) + abs(float(one.offset) - offset) / scale

    descent._start([one], loss)
    assert abs(np.log(float(one.scale) / scale)) < 0.5
    assert abs(float(one.offset) - offset) < scale
    descent._start([one], lambda: np.nan)
    assert (float(one.scale), float(one.offset)) == (1.0, 0.0)


def test_they_come_from_the_seed_and_stay_in_the_range_given(keras_flavour, rng, monkeypatch):
    monkeypatch.setattr(descent, "STEPS", 5)
    model = trained(keras_flavour, rng, activation="sigmoid")
    inputs = model_inputs(model)
    first, same, other = (
        data_free_calibration(model, inputs, seed=seed, value_range=(2, 6)).arrays[0] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)
    assert first.min() >= 2
    assert first.max() <= 6


def test_what_is_made_says_so_everywhere(keras_flavour, rng, tmp_path, monkeypatch):
    monkeypatch.setattr(descent, "STEPS", 5)
    steps = []
    result = export_tflite(
        trained(keras_flavour, rng),
        tmp_path / "m.tflite",
        precision="int8",
        calibration="data-free",
        on_step=steps.append,
    )
    assert result.calibration == "64 samples made data-free from the statistics of 2 BatchNorms (seed 0)"
    assert "data-free" in json.dumps(result.to_json())
    stored = read_provenance(read_tflite(result.path))
    assert stored["calibration"] == "data-free from the statistics of 2 BatchNorms"
    assert "match the statistics of the BatchNorms: step 1 of 5" in steps


def without_batchnorm(keras):
    x = keras.Input((4,))
    return keras.Model(x, keras.layers.Dense(2)(x))


def untrained(keras):
    x = keras.Input((4,))
    return keras.Model(x, keras.layers.BatchNormalization()(keras.layers.Dense(2)(x)))


FLOATS = ModelInput("x", (None, 4), "float32")
BAD = {
    "no batchnorm": (without_batchnorm, FLOATS, "needs BatchNorms, .* has none .* Give samples of the real inputs"),
    "untrained": (untrained, FLOATS, "statistics that it was made with, mean 0 and variance 1"),
    "whole numbers": (untrained, ModelInput("ids", (None, 4), "int32"), "whole numbers .* found input 'ids'"),
    "free shape": (untrained, ModelInput("x", (None, None, 4), "float32"), "inputs of a fixed shape; found input 'x'"),
}


@pytest.mark.parametrize("case", BAD)
def test_models_that_describe_no_data_are_refused(keras_flavour, case):
    make, wanted, message = BAD[case]
    with pytest.raises(CalibrationError, match=message):
        data_free_calibration(make(keras_flavour.keras), [wanted])


def test_a_search_that_fails_is_an_error(keras_flavour, rng, monkeypatch):
    monkeypatch.setattr(descent, "STEPS", 2)
    monkeypatch.setattr(descent, "RATE", np.inf)
    model = trained(keras_flavour, rng)
    with pytest.raises(CalibrationError, match="left the finite numbers"):
        data_free_calibration(model, model_inputs(model))
