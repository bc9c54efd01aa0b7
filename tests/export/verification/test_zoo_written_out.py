"""Activations that the converter writes out, with a part of them in the weights before: right files and wrong ones."""

import numpy as np
import pytest
from kerasbn_testing.statistics import randomise

from kerasbn_export import export_tflite, verify

pytestmark = pytest.mark.either_keras


def gate_of(flavour, kind):
    """A sigmoid made of straight lines."""
    if kind == "hard_sigmoid":
        return kind
    if flavour.name == "keras":
        return lambda x: flavour.keras.ops.clip(x / 6 + 0.5, 0, 1)
    import tensorflow as tf

    return lambda x: tf.clip_by_value(x / 6 + 0.5, 0, 1)


def gated(flavour, kind, rng):
    """Squeeze and excite, as GhostNet and FBNetV3 have it."""
    keras, layers = flavour.keras, flavour.keras.layers
    inputs = keras.Input((8, 8, 3))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(inputs)))
    gate = layers.Conv2D(4, 1, activation="relu", name="one")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    if kind == "inside":
        gate = layers.Conv2D(8, 1, activation="hard_sigmoid", name="two")(gate)
    else:
        gate = layers.Activation(gate_of(flavour, kind), name="gate")(layers.Conv2D(8, 1, name="two")(gate))
    x = layers.Conv2D(6, 1)(layers.Multiply()([x, gate]))
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    randomise(model, rng)
    return model


@pytest.mark.sweep
@pytest.mark.parametrize("kind", ["own", "hard_sigmoid", "inside"])
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_gate_of_straight_lines_is_equal_and_a_wrong_weight_before_it_is_not(
    keras_flavour, kind, precision, rng, tmp_path
):
    model = gated(keras_flavour, kind, rng)
    data = rng.uniform(-1, 1, (48, 8, 8, 3)).astype("float32")
    calibration = data if precision == "int8" else None
    path = export_tflite(model, tmp_path / "m.tflite", precision=precision, calibration=calibration).path
    report = verify(model, path, data=data[:8])
    assert report, report.verdict
    assert precision == "int8" or "differs by" not in str(report)
    if precision == "float32":
        assert verify(model, path)
    layer = model.get_layer("two")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel, bias - 3.0 * np.sign(bias + 1e-9)])
    report = verify(model, path, data=data[:8])
    assert report.status.value == "differs"
    assert {"two", "gate"} & set(report.first_divergence.suspects)
