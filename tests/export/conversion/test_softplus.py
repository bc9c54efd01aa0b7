"""Softplus in a file: right where exp(x) is not a number any more, and good in int8."""

import numpy as np
import pytest
from kerasbn_testing.statistics import randomise

from kerasbn_export import export_tflite, fold, verify
from kerasbn_export.verification.records.measure import measure
from kerasbn_export.verification.sides.open import open_runnable

pytestmark = pytest.mark.either_keras

FUNCTIONS = {"keras": ("softplus", "log_sigmoid", "mish"), "tf_keras": ("softplus", "mish")}


def names(flavour):
    return [name for name in FUNCTIONS[flavour.name] if hasattr(flavour.keras.activations, name)]


def model_with(flavour, name, *, inside):
    keras, layers = flavour.keras, flavour.keras.layers
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, activation=name if inside else None)(inputs)
    if not inside:
        x = layers.Activation(name)(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Conv2D(2, 1)(layers.BatchNormalization()(x)))


@pytest.mark.parametrize("inside", [False, True])
def test_large_numbers(keras_flavour, rng, tmp_path, inside):
    for name in names(keras_flavour):
        model = model_with(keras_flavour, name, inside=inside)
        randomise(model, rng)
        export_tflite(model, tmp_path / "m.tflite")
        data = rng.normal(
            size=(6, 6, 6, 3), scale=[[[[1.0]]], [[[10.0]]], [[[100.0]]], [[[1000.0]]], [[[0.1]]], [[[30.0]]]]
        )
        report = verify(model, tmp_path / "m.tflite", data=data.astype("float32"))
        assert report, (name, report.outputs[0].reason)
        assert verify(model, tmp_path / "m.tflite"), name


def test_the_stock_converter_overflows(keras_flavour):
    """The reason for it: where this fails, TensorFlow has mended it, and `softplus.py` can go."""
    import tensorflow as tf

    inputs = keras_flavour.keras.Input((4,), batch_size=1)
    model = keras_flavour.keras.Model(inputs, keras_flavour.keras.layers.Activation("softplus")(inputs))
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner

    assert not np.all(np.isfinite(TFLiteRunner(content, "stock").run([np.full((1, 4), 200.0, "float32")])[0]))


def test_in_int8(keras_flavour, rng, tmp_path):
    """log(1 + exp(x)) has the range of exp(x): above 30 nothing else is left of it in eight bits."""
    model = model_with(keras_flavour, "softplus", inside=False)
    randomise(model, rng)
    data = (20.0 * rng.normal(size=(32, 6, 6, 3))).astype("float32")
    export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=data)
    expected = fold(model).model.predict(data, verbose=0)
    found = open_runnable(tmp_path / "m.tflite", backend="xnnpack", allow_code=False).run([data])[0]
    assert measure(expected, found).sqnr_db > 25.0
