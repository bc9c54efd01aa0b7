"""Slimming on the way to a file, with a threshold, and what is said of both."""

import json

import numpy as np
import pytest
from kerasbn_testing.random_slimmable import silence
from kerasbn_testing.statistics import own_name, randomise

from kerasbn.errors import InvalidArgumentError
from kerasbn_export import SlimResult, export_tflite, remove_constant_channels, verify
from kerasbn_export.cli.main import run
from kerasbn_export.conversion.provenance import read_provenance
from kerasbn_export.tflite.file import read_tflite


def network(flavour, rng, zeros=0.5):
    """Two convolutions in padding, pooled, and a Dense."""
    layers = flavour.keras.layers
    tensor = inputs = flavour.keras.Input((8, 8, 3), name="image")
    for filters in (12, 16):
        tensor = layers.Conv2D(filters, 3, padding="same")(tensor)
        tensor = layers.ReLU()(layers.BatchNormalization()(tensor))
    model = flavour.keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(tensor)))
    randomise(model, rng)
    silence(model, rng, zeros)
    return model


@pytest.mark.either_keras
def test_the_file_is_smaller_and_equal_to_the_model(keras_flavour, rng, tmp_path):
    model = network(keras_flavour, rng)
    whole = export_tflite(model, tmp_path / "whole.tflite")
    result = export_tflite(model, tmp_path / "slim.tflite", slim=True)
    assert result.bytes < whole.bytes
    assert verify(model, tmp_path / "slim.tflite")
    removed = sum(each.removed for each in result.slimmed)
    assert removed > 5
    assert f"Slimmed: {removed} of 28 channels removed" in str(result)
    assert len(result.verdicts) == 2
    assert [each["removed"] for each in json.loads(json.dumps(result.to_json()))["slimmed"]] == [
        each.removed for each in result.slimmed
    ]
    record = read_provenance(read_tflite((tmp_path / "slim.tflite").read_bytes()))
    assert record["slimmed"] == removed
    assert whole.slimmed == ()


@pytest.mark.either_keras
def test_a_wrong_slimmed_file_does_not_pass(keras_flavour, rng, tmp_path):
    model = network(keras_flavour, rng)
    export_tflite(model, tmp_path / "slim.tflite", slim=True)
    norm = next(layer for layer in model.layers if "batch" in layer.name)
    norm.beta.assign(np.asarray(norm.beta) + 0.01)
    comparison = verify(model, tmp_path / "slim.tflite")
    assert not comparison
    assert "layers not compared: constant channels were taken out of the file." in comparison.notes


@pytest.mark.either_keras
def test_int8_is_calibrated_on_the_smaller_network(keras_flavour, rng, tmp_path):
    model, samples = network(keras_flavour, rng), rng.normal(size=(32, 8, 8, 3)).astype("float32")
    result = export_tflite(model, tmp_path / "m.tflite", slim=True, precision="int8", calibration=samples)
    assert result.slimmed
    assert verify(model, tmp_path / "m.tflite", data=samples)


@pytest.mark.either_keras
def test_the_command_says_what_went(keras_flavour, rng, tmp_path, capsys):
    path = tmp_path / "m.keras"
    network(keras_flavour, rng).save(path)
    assert run(["export", str(path), "-o", str(tmp_path / "m.tflite"), "--slim"]) == 0
    assert "channels removed" in " ".join(capsys.readouterr().out.split())


@pytest.mark.either_keras
def test_nothing_to_remove_is_said_and_exported(keras_flavour, rng, tmp_path):
    result = export_tflite(network(keras_flavour, rng, zeros=0.0), tmp_path / "m.tflite", slim=True)
    assert "Slimmed: No channel was removed: no gamma is zero." in str(result)


def test_programs_are_converted_as_they_are(rng, tmp_path):
    import tensorflow as tf

    module = tf.Module()
    module.weight = tf.Variable(rng.normal(size=(3, 2)).astype("float32"))
    module.call = tf.function(
        lambda x: {"y": tf.matmul(x, module.weight)}, input_signature=[tf.TensorSpec((None, 3), tf.float32, name="x")]
    )
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures=module.call)
    result = export_tflite(tmp_path / "saved", tmp_path / "m.tflite", slim=True)
    assert "Not slimmed: a SavedModel without Keras layers is converted as it is." in result.notes


def small_gammas(model, size):
    """The gammas of zero become small ones."""
    for variable in model.weights:
        if own_name(variable) == "gamma":
            gamma = np.asarray(variable)
            variable.assign(np.where(gamma == 0, size, gamma))


def test_a_threshold_is_not_exact_and_says_how_far_off(keras_flavour, rng):
    model = network(keras_flavour, rng)
    exact = remove_constant_channels(model)
    small_gammas(model, 1e-3)
    assert not remove_constant_channels(model)
    result = remove_constant_channels(model, threshold=1e-3)
    assert [each.removed for each in result.removed] == [each.removed for each in exact.removed]
    assert not result.exact
    assert 1e-7 < result.difference < 0.05
    assert result.difference == verify(model, result.model, layers=False).required_tolerance
    assert "Not exact: gammas of at most 0.001 were taken for zero" in str(result)


def test_a_threshold_that_takes_only_zeros_is_exact(keras_flavour, rng):
    result = remove_constant_channels(network(keras_flavour, rng), threshold=0.1)
    assert result
    assert result.exact
    assert "The outputs are the same." in str(result)


def test_small_gammas_of_channels_that_stay_are_not_touched(keras_flavour, rng):
    layers = keras_flavour.keras.layers
    inputs = keras_flavour.keras.Input((3,))
    model = keras_flavour.keras.Model(inputs, layers.BatchNormalization(name="bn")(layers.Dense(4)(inputs)))
    randomise(model, rng)
    model.get_layer("bn").gamma.assign([1e-3, 1.0, 1e-3, 1.0])
    result = remove_constant_channels(model, threshold=0.01)
    assert not result
    assert result.exact
    assert np.array_equal(np.asarray(result.model.get_layer("bn").gamma), np.float32([1e-3, 1.0, 1e-3, 1.0]))


@pytest.mark.parametrize("threshold", [-0.1, float("nan"), "0.1", None])
def test_a_threshold_is_a_number_of_at_least_zero(threshold, keras_flavour, rng):
    with pytest.raises(InvalidArgumentError, match="threshold"):
        remove_constant_channels(network(keras_flavour, rng), threshold=threshold)


def test_a_model_without_batchnorms(keras_flavour):
    layers = keras_flavour.keras.layers
    result = remove_constant_channels(keras_flavour.keras.Sequential([layers.Input((3,)), layers.Dense(2)]))
    assert isinstance(result, SlimResult)
    assert "the model has no BatchNorm" in str(result)


def test_a_batchnorm_inside_of_a_closed_layer_has_its_record(keras_flavour):
    layers, norm = keras_flavour.keras.layers, keras_flavour.keras.layers.BatchNormalization(name="inner")
    inputs = keras_flavour.keras.Input((5, 3))
    tensor = layers.TimeDistributed(norm, name="times")(layers.Dense(4)(inputs))
    model = keras_flavour.keras.Model(inputs, layers.Dense(2)(tensor))
    norm.gamma.assign([0.0, 1.0, 0.0, 1.0])
    result = remove_constant_channels(model)
    assert not result
    (record,) = result.removed
    assert (record.layer, record.silent, record.removed) == ("times/inner", 2, 0)
    assert "TimeDistributed 'times'" in record.where
