"""What an operation chooses from keeps its values in int8 where something else reads it, too."""

import numpy as np
import pytest
import tensorflow as tf

from kerasbn_export import export_tflite, verify
from kerasbn_export.calibration.ranges.choosing import holding_what_is_chosen_from
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.conversion.convert import calibrated
from kerasbn_export.conversion.options import ConversionOptions
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner


def functions(flavour):
    """The functions of a Keras by the same names."""
    return flavour.keras.ops if flavour.name == "keras" else tf


WRITTEN_OUT = {
    "leaky by maximum": lambda f, x: f.maximum(x, 0.1 * x),
    "leaky by where": lambda f, x: f.where(x > 0.0, x, 0.1 * x),
    "elu": lambda f, x: f.where(x > 0.0, x, f.exp(f.minimum(x, 0.0)) - 1.0),
    "absolute": lambda f, x: f.maximum(x, -x),
    "cut and moved on": lambda f, x: f.concatenate([f.maximum(x, -x)] * 2, -1) if hasattr(f, "concatenate") else
    f.concat([f.maximum(x, -x)] * 2, -1),
}  # fmt: skip


def network(flavour, activation):
    layers = flavour.keras.layers
    x = flavour.keras.Input((8, 8, 3))
    y = layers.BatchNormalization()(layers.Conv2D(8, 3, use_bias=False, name="conv")(x))
    model = flavour.keras.Model(x, layers.Conv2D(4, 3, name="last")(activation(functions(flavour), y)))
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.5, 1.5, weight.shape) - 1.0 * (weight.ndim > 1) for weight in model.get_weights()])
    return model


def samples(count, seed):
    return np.random.default_rng(seed).normal(size=(count, 8, 8, 3)).astype("float32")


def decibels(model, path):
    x = samples(32, 5)
    wanted, found = model.predict(x, verbose=0), TFLiteRunner(path.read_bytes(), "m").run([x])[0]
    return 10 * np.log10((wanted**2).sum() / ((wanted - found) ** 2).sum())


@pytest.mark.either_keras
@pytest.mark.parametrize("form", WRITTEN_OUT)
def test_an_activation_that_is_written_out_is_as_good_as_a_layer(keras_flavour, tmp_path, form):
    model = network(keras_flavour, WRITTEN_OUT[form])
    result = export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=samples(64, 2))
    assert decibels(model, result.path) > 28  # 1.8 to 18.6 as the converter does it
    assert verify(model, result.path, data=samples(32, 5))


@pytest.mark.either_keras
@pytest.mark.parametrize("ranges", ["minmax", "percentile", "mse"])
def test_with_ranges_by_another_method_too(keras_flavour, tmp_path, ranges):
    model = network(keras_flavour, WRITTEN_OUT["leaky by maximum"])
    result = export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=samples(64, 2), ranges=ranges)
    assert decibels(model, result.path) > 28


@pytest.mark.either_keras
@pytest.mark.parametrize("precision", ["int8", "int16x8"])
def test_what_nothing_else_reads_is_cut_as_before(keras_flavour, precision):
    """``min(max(x, -0.2), 0.2)`` has the grid of -0.2 to 0.2 everywhere."""
    model = network(keras_flavour, lambda f, x: f.minimum(f.maximum(x, -0.2), 0.2))
    measured = calibrated(model, ConversionOptions(precision), calibration=Calibration((samples(16, 2),), "array"))
    assert holding_what_is_chosen_from(measured.data) is measured.data


def test_it_is_done_once(keras_flavour):
    model = network(keras_flavour, WRITTEN_OUT["absolute"])
    options = ConversionOptions("int8")
    data = calibrated(model, options, calibration=Calibration((samples(16, 2),), "array")).data
    assert holding_what_is_chosen_from(data) is data
