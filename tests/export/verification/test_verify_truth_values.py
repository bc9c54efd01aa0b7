"""A layer that gives truth values is compared as any other."""

import numpy as np
import pytest
import tensorflow as tf

from kerasbn_export import export_tflite, verify


def thresholded(flavour, threshold):
    """Which of two layers an output comes from, a layer of truth values says."""
    layers = flavour.keras.layers
    x = flavour.keras.Input((12,), name="x")
    first, second, gate = (layers.Dense(8, name=name)(x) for name in ("first", "second", "gate"))
    gate = layers.BatchNormalization(name="norm")(gate)
    if flavour.name == "keras":
        y = flavour.keras.ops.where(flavour.keras.ops.greater(gate, threshold), first, second)
    else:
        y = tf.where(tf.math.greater(gate, threshold), first, second)
    model = flavour.keras.Model(x, layers.Dense(3, name="last")(y))
    rng = np.random.default_rng(2)
    model.set_weights([rng.uniform(0.5, 1.5, weight.shape) - 0.8 * (weight.ndim > 1) for weight in model.get_weights()])
    return model


@pytest.mark.either_keras
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_right_file_is_equal_and_another_threshold_is_not(keras_flavour, rng, tmp_path, precision):
    x = rng.normal(size=(64, 12)).astype("float32")
    calibration = x if precision == "int8" else None
    right = thresholded(keras_flavour, 0.0)
    result = export_tflite(right, tmp_path / "m.tflite", precision=precision, calibration=calibration)
    assert verify(right, result.path, data=x)
    assert verify(thresholded(keras_flavour, 0.9), result.path, data=x).exit_code == 1
