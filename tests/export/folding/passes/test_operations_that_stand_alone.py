"""A function that stands for a layer is called on another value where a pass puts something before it."""

import pytest
import tensorflow as tf

from kerasbn_export import export_tflite, verify
from kerasbn_export.tflite.flatbuffer import op_name
from kerasbn_export.verification.faults.file import File

pytestmark = pytest.mark.either_keras
BOUNDED = {
    "bounds by minimum": lambda f, x: f.minimum(f.maximum(x, 0.0), 6.0),
    "only a minimum": lambda f, x: f.minimum(x, 6.0),
    "clip": lambda f, x: (f.clip if hasattr(f, "clip") else f.clip_by_value)(x, 0.0, 6.0),
    "relu6": lambda f, x: (f.relu6 if hasattr(f, "relu6") else f.nn.relu6)(x),
    "relu": lambda f, x: f.relu(x) if hasattr(f, "relu") else f.nn.relu(x),
}


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("form", BOUNDED)
def test_behind_an_addition_and_a_product(keras_flavour, rng, tmp_path, form, precision):
    layers, functions = keras_flavour.keras.layers, keras_flavour.keras.ops if keras_flavour.name == "keras" else tf
    x = keras_flavour.keras.Input((6, 6, 3))
    y = layers.BatchNormalization()(layers.Conv2D(4, 1)(x))
    y = y * BOUNDED[form](functions, y + 3.0) / 6.0
    model = keras_flavour.keras.Model(x, layers.Conv2D(2, 1)(BOUNDED[form](functions, layers.BatchNormalization()(y))))
    model.set_weights(
        [rng.uniform(0.5, 1.5, w.shape).astype("float32") - 1.0 * (w.ndim > 1) for w in model.get_weights()]
    )
    data = rng.normal(size=(32, 6, 6, 3)).astype("float32")
    calibration = data if precision == "int8" else None
    result = export_tflite(model, tmp_path / "m.tflite", precision=precision, calibration=calibration)
    assert verify(model, result.path, data=data)


def test_a_bound_that_is_on_no_grid_is_no_error_and_its_loss_is_one(keras_flavour, rng, tmp_path):
    """6 is rounded to the grid, by at most half a step; without it values go on to 9."""
    layers = keras_flavour.keras.layers
    x = keras_flavour.keras.Input((6, 6, 3), name="x")
    y = layers.ReLU(6.0, name="bounded")(layers.ReLU()(layers.Add()([x, layers.Rescaling(1.7)(x)])))
    model = keras_flavour.keras.Model(x, layers.Conv2D(2, 1)(y))
    data = rng.uniform(-3, 3.3, size=(32, 6, 6, 3)).astype("float32")
    result = export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=data)
    assert verify(model, result.path, data=data, backend="builtin")
    file = File(result.path.read_bytes())
    pools = [op for op in file.model.subgraphs[0].operators if op_name(file.model, op) == "MAX_POOL_2D"]
    assert pools
    for pool in pools:
        pool.builtinOptions.fusedActivationFunction = 0
    (tmp_path / "wrong.tflite").write_bytes(file.content())
    report = verify(model, tmp_path / "wrong.tflite", data=data, backend="builtin")
    assert report.exit_code == 1
    assert report.first_divergence.layer == "bounded"


def test_behind_a_function_with_a_constant_kernel_the_converter_folds(keras_flavour, rng, tmp_path):
    keras, kernel = keras_flavour.keras, rng.normal(size=(3, 3, 3, 5)).astype("float32")
    x = keras.Input((8, 8, 3))
    y = keras.ops.conv(x, kernel) if keras_flavour.name == "keras" else tf.nn.conv2d(x, kernel, 1, "VALID")
    model = keras.Model(x, keras.layers.ReLU()(keras.layers.BatchNormalization()(y)))
    model.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in model.get_weights()])
    result = export_tflite(model, tmp_path / "m.tflite")
    assert dict(result.ops) == {"CONV_2D": 1}
    assert verify(model, result.path)
