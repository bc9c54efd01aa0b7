"""A finished file is read without running it: operations, inputs, outputs, precision, what is left of BatchNorms."""

import numpy as np
import pytest

from kerasbn.errors import ModelFileError
from kerasbn_export.calibration.samples import read_calibration
from kerasbn_export.conversion.convert import convert
from kerasbn_export.conversion.options import ConversionOptions
from kerasbn_export.conversion.servable import model_inputs
from kerasbn_export.precision import PRECISIONS
from kerasbn_export.tflite.file import Op, Tensor, read_ops, read_tflite

pytestmark = pytest.mark.either_keras


def model_with_a_stray_batchnorm(flavour, rng):
    """Conv -> ReLU -> BatchNorm -> MaxPool -> Dense: the converter leaves MUL and ADD."""
    layers = flavour.keras.layers
    model = flavour.keras.Sequential(
        [
            flavour.keras.Input((8, 8, 3), name="image"),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(40, name="scores"),
        ]
    )
    for weight in model.weights:
        weight.assign(rng.uniform(0.3, 2.0, size=weight.shape))
    return model


def test_the_parts_of_a_file(keras_flavour, rng):
    data = convert(model_with_a_stray_batchnorm(keras_flavour, rng))
    file = read_tflite(data)
    assert file.size == len(data)
    assert file.op_counts == read_ops(data)
    assert {op: count for op, count in file.op_counts.items() if op != "RESHAPE"} == {
        "CONV_2D": 1,
        "MUL": 1,
        "ADD": 1,
        "MAX_POOL_2D": 1,
        "FULLY_CONNECTED": 1,
    }
    assert [op.name for op in file.affine_ops] == ["MUL", "ADD"]
    assert file.input_names == ("image",)
    assert file.output_names == ("scores",)
    assert file.inputs[0].shape == (1, 8, 8, 3)
    assert file.custom_ops == ()
    assert {op.name for op in file.float_ops} == set(file.op_counts)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_precision_is_read_from_the_tensors(precision, keras_flavour, rng):
    model = model_with_a_stray_batchnorm(keras_flavour, rng)
    calibration = read_calibration(rng.normal(size=(4, 8, 8, 3)), model_inputs(model))
    file = read_tflite(convert(model, ConversionOptions(precision), calibration=calibration))
    assert file.precision == precision
    assert len(file.affine_ops) == 2
    assert bool(file.float_ops) == (precision not in {"int8", "int16x8"})


def test_a_path_is_read_as_well(tmp_path, keras_flavour, rng):
    data = convert(model_with_a_stray_batchnorm(keras_flavour, rng))
    (tmp_path / "m.tflite").write_bytes(data)
    assert read_tflite(tmp_path / "m.tflite") == read_tflite(data)


@pytest.mark.parametrize(
    ("shape", "constant", "affine"),
    [((4,), True, True), ((1, 1, 1, 4), True, True), ((1,), True, False), ((2, 4), True, False), ((4,), False, False)],
)
def test_an_affine_op_has_a_constant_that_varies_along_one_axis(shape, constant, affine):
    value = Tensor("x", (1, 2, 2, 4), "FLOAT32", constant=False)
    assert Op("MUL", (value, Tensor("c", shape, "FLOAT32", constant)), (value,)).affine is affine
    assert not Op("CONV_2D", (value, Tensor("c", shape, "FLOAT32", constant)), (value,)).affine


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read: No such file"), (b"PK\x03\x04", "no .tflite file"), (b"\xff\xff\0\0TFL3\xff", "damaged")],
)
def test_what_is_no_tflite_file_is_refused_by_name(content, message, tmp_path):
    path = tmp_path / "m.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelFileError, match=message) as caught:
        read_tflite(path)
    assert str(path) in str(caught.value)


def test_a_cut_file_is_refused(keras_flavour, rng):
    data = convert(model_with_a_stray_batchnorm(keras_flavour, rng))
    with pytest.raises(ModelFileError, match="damaged or cut short"):
        read_tflite(data[: len(data) // 2])
    assert np.frombuffer(data[4:8], "S4")[0] == b"TFL3"
