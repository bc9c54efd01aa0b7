"""A layer called at several places has one name there: each call is compared with its own numbers."""

import pytest
from kerasbn_testing.statistics import randomise

from kerasbn_export import export_tflite, verify

pytestmark = pytest.mark.either_keras


def one_relu_twice(flavour):
    """A ReLU layer that is called on two convolutions of the same size."""
    layers = flavour.keras.layers
    image, relu = flavour.keras.Input((8, 8, 3)), layers.ReLU(name="relu")
    x = layers.Add()([relu(layers.Conv2D(4, 1, name=name)(image)) for name in ("one", "two")])
    return flavour.keras.Model(image, layers.Conv2D(3, 1, name="last")(x))


def a_relu_that_moves(flavour):
    """A ReLU of two convolutions, which folding moves into both."""
    layers = flavour.keras.layers
    image = flavour.keras.Input((8, 8, 3))
    x = layers.Concatenate()([layers.Conv2D(4, 1, name=name)(image) for name in ("one", "two")])
    return flavour.keras.Model(image, layers.Conv2D(3, 1, name="last")(layers.ReLU(name="relu")(x)))


MODELS = {"called twice": one_relu_twice, "moved": a_relu_that_moves}


@pytest.fixture(params=MODELS)
def case(request, keras_flavour, rng, tmp_path):
    """A model, its int8 file and samples."""
    model = MODELS[request.param](keras_flavour)
    randomise(model, rng)
    data = rng.normal(size=(32, 8, 8, 3)).astype("float32")
    return model, tmp_path / "m.tflite", data


@pytest.mark.sweep
@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_each_call_has_the_weights_of_its_own_layer(case, precision):
    model, path, data = case
    export_tflite(model, path, precision=precision, calibration=data if precision == "int8" else None)
    report = verify(model, path, data=data)
    assert report, report.verdict
    assert {record.layer for record in report.weights} >= {"one", "two"}
    assert all(record.passed for record in report.weights)


@pytest.mark.sweep
@pytest.mark.parametrize("wrong", ["one", "two"])
def test_the_wrong_one_is_named(case, rng, wrong):
    model, path, data = case
    export_tflite(model, path, precision="int8", calibration=data)
    model.get_layer(wrong).bias.assign(rng.normal(size=4))
    report = verify(model, path, data=data)
    assert report.exit_code == 1
    assert report.first_divergence.layer == wrong
