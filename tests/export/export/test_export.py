"""`export_tflite` folds, converts and writes in one call, and says what is in the file."""

import json

import numpy as np
import pytest

from kerasbn.errors import CalibrationError, InvalidArgumentError, NotFoldedError, OutputError, UnsupportedModelError
from kerasbn_export.export.tflite import export_tflite
from kerasbn_export.tflite.file import read_tflite
from kerasbn_export.verification import verify


def randomised(model, rng):
    """Statistics that are never the initial ones: gammas of both signs and zero, variances over decades."""
    for layer in model.layers:
        if "BatchNormalization" in type(layer).__name__:
            size = int(layer.gamma.shape[0])
            gamma = rng.normal(size=size)
            gamma[0] = 0
            variance = 10.0 ** rng.uniform(-2, 2, size=size)
            layer.set_weights([gamma, rng.normal(size=size), rng.normal(size=size) * 3, variance])
    return model


def network(flavour, rng, *, training=False):
    """One BatchNorm after each kind of producer; with `training`, one that cannot be folded."""
    layers, norm = flavour.keras.layers, flavour.batch_normalization
    image = flavour.keras.Input((8, 8, 3), name="image")
    x = norm(name="norm1")(layers.Conv2D(6, 3, padding="same", use_bias=False, name="conv")(image))
    x = layers.ReLU()(x)
    x = norm(name="norm2")(layers.DepthwiseConv2D(3, name="depthwise")(x))
    x = layers.Flatten()(layers.ReLU()(x))
    x = layers.Dense(7, name="dense")(x)
    x = norm(name="norm3")(x, training=True) if training else norm(name="norm3")(x)
    return randomised(flavour.keras.Model(image, x), rng)


@pytest.mark.sweep
@pytest.mark.parametrize("batch_size", [1, 4, None])
def test_a_float_file_has_no_batchnorm_and_computes_the_same(keras_flavour, rng, tmp_path, batch_size):
    model = network(keras_flavour, rng)
    before = [weight.copy() for weight in model.get_weights()]
    result = export_tflite(model, tmp_path / "m.tflite", batch_size=batch_size)
    assert [(verdict.layer, verdict.gone) for verdict in result.verdicts] == [
        ("norm1", True),
        ("norm2", True),
        ("norm3", True),
    ]
    file = read_tflite(result.path)
    assert result.affine_ops_left == len(file.affine_ops) == 0
    assert result.ops == file.op_counts
    assert result.bytes == result.path.stat().st_size
    assert (result.precision, file.precision, result.calibration) == ("float32", "float32", None)
    assert file.inputs[0].shape == (-1 if batch_size is None else batch_size, 8, 8, 3)
    assert verify(model, result.path, data=rng.normal(size=(8, 8, 8, 3)).astype("float32"))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.sweep
@pytest.mark.parametrize("precision", ["int8", "int16x8"])
def test_a_quantized_file_is_calibrated_on_the_samples_given(keras_flavour, rng, tmp_path, precision):
    model, data = network(keras_flavour, rng), rng.normal(size=(40, 8, 8, 3)).astype("float32")
    np.save(tmp_path / "data.npy", data)
    results = [
        export_tflite(model, tmp_path / f"{index}.tflite", precision=precision, calibration=calibration)
        for index, calibration in enumerate([data, tmp_path / "data.npy"])
    ]
    assert [result.calibration for result in results] == ["40 samples from array", "40 samples from data.npy"]
    assert results[0].path.read_bytes() == results[1].path.read_bytes()
    assert results[0].float_ops_left == {}
    assert verify(model, results[0].path, data=data[:8])


def test_operations_that_stay_in_float_are_listed(keras_flavour, rng, tmp_path):
    """The converter leaves Conv3D in float in a file that it calls int8."""
    volume = keras_flavour.keras.Input((4, 4, 4, 2))
    model = keras_flavour.keras.Model(volume, keras_flavour.keras.layers.Conv3D(3, 2)(volume))
    calibration = rng.normal(size=(4, 4, 4, 4, 2))
    result = export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=calibration)
    assert "CONV_3D" in result.float_ops_left


def test_without_folding_the_batchnorms_stay(keras_flavour, rng, tmp_path):
    layers = keras_flavour.keras.layers
    x = keras_flavour.keras.Input((6, 6, 2))
    y = layers.MaxPooling2D()(keras_flavour.batch_normalization()(layers.ReLU()(x)))
    model = randomised(keras_flavour.keras.Model(x, y), rng)
    result = export_tflite(model, tmp_path / "m.tflite", fold=False)
    assert result.verdicts == ()
    assert result.affine_ops_left == 2
    assert verify(model, result.path)


def test_a_path_is_loaded_with_its_own_keras(keras_flavour, rng, tmp_path):
    model = network(keras_flavour, rng)
    model.save(tmp_path / "m.keras")
    steps = []
    result = export_tflite(tmp_path / "m.keras", tmp_path / "m.tflite", on_step=steps.append)
    assert steps == ["load", "fold", "convert", "check"]
    assert verify(model, result.path)


def test_a_model_trained_in_mixed_precision_becomes_a_float32_file(keras_flavour, rng, tmp_path):
    keras_flavour.keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = network(keras_flavour, rng)
    finally:
        keras_flavour.keras.mixed_precision.set_global_policy("float32")
    result = export_tflite(model, tmp_path / "m.tflite")
    assert {tensor.dtype for tensor in read_tflite(result.path).inputs} == {"FLOAT32"}
    assert all(verdict.gone for verdict in result.verdicts)


def test_strict_writes_nothing_if_a_batchnorm_is_left(keras_flavour, rng, tmp_path):
    model = network(keras_flavour, rng, training=True)
    with pytest.raises(NotFoldedError, match="norm3"):
        export_tflite(model, tmp_path / "m.tflite", strict=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fold", [True, False])
def test_statistics_of_the_batch_are_refused(keras_flavour, rng, tmp_path, fold):
    """Keras 3 converts such a layer with its moving statistics: something else than the model computes."""
    with pytest.raises(UnsupportedModelError, match=r"BatchNorm 'norm3' is called with training=True"):
        export_tflite(network(keras_flavour, rng, training=True), tmp_path / "m.tflite", fold=fold)
    assert list(tmp_path.iterdir()) == []


def test_the_result_is_json(keras_flavour, rng, tmp_path):
    result = export_tflite(network(keras_flavour, rng), tmp_path / "m.tflite")
    record = json.loads(json.dumps(result.to_json()))
    assert record["path"] == str(tmp_path / "m.tflite")
    assert record["verdicts"][0]["layer"] == "norm1"


BAD = {
    "no calibration": ({"precision": "int8"}, CalibrationError, "needs calibration data; accepted: an array"),
    "unused calibration": ({"calibration": "random"}, InvalidArgumentError, "'float32' measures no ranges"),
    "precision": ({"precision": "int4"}, InvalidArgumentError, "accepted: float32, float16"),
    "io": ({"io_dtype": "int8"}, InvalidArgumentError, "do not go with precision 'float32'"),
    "batch": ({"batch_size": 0}, InvalidArgumentError, "accepted: a whole number at least 1"),
    "strict": ({"strict": True, "fold": False}, InvalidArgumentError, "strict=True asks that every BatchNorm"),
}


@pytest.mark.parametrize("case", BAD)
def test_options_are_checked_before_the_model_is_looked_at(case, tmp_path):
    options, error, message = BAD[case]
    with pytest.raises(error, match=message):
        export_tflite(object(), tmp_path / "m.tflite", **options)


def test_the_folder_is_checked_before_the_model_is_looked_at(tmp_path):
    with pytest.raises(OutputError, match="does not exist; create it first"):
        export_tflite(object(), tmp_path / "nowhere" / "m.tflite")


def test_calibration_is_checked_before_the_conversion(keras_flavour, rng, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "kerasbn_export.export.prepared.convert", lambda *_, **__: pytest.fail("the converter was called")
    )
    with pytest.raises(CalibrationError, match=r"shape \(n, 9, 9, 3\); the model wants input 'image' .*\(n, 8, 8, 3\)"):
        export_tflite(
            network(keras_flavour, rng), tmp_path / "m.tflite", precision="int8", calibration=np.ones((4, 9, 9, 3))
        )
    assert list(tmp_path.iterdir()) == []
