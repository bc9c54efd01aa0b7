"""Divisions in int8: in float where 8 bits may round the divisor to 0, in int8 where they cannot."""

import numpy as np
import pytest

from kerasbn_export import export_tflite, verify
from kerasbn_export.conversion.divisions import LEVELS, STEPS
from kerasbn_export.tflite.file import read_tflite


def quotient(flavour, least):
    """A convolution over a positive divisor that is at least so much, behind a BatchNorm; a residual goes past it."""
    layers = flavour.keras.layers
    image = flavour.keras.Input((6, 6, 3), name="image")
    x = layers.ReLU()(flavour.batch_normalization()(layers.Conv2D(4, 3, padding="same", name="conv")(image)))
    above, below = layers.Conv2D(4, 1, name="above")(x), layers.ReLU()(layers.Conv2D(4, 1, name="below")(x))
    divided = layers.Add()([x, above / (below + least)])
    return flavour.keras.Model(image, layers.Conv2D(2, 1, name="last")(divided))


def linear_attention(flavour):
    """q (k' v) / q (k' 1) of positive q and k, as of EfficientViT."""
    layers = flavour.keras.layers
    sequence = flavour.keras.Input((8, 6), name="sequence")
    x = flavour.batch_normalization()(layers.Dense(12, name="dense")(sequence))
    q, k = (layers.ReLU()(layers.Dense(12, name=name)(x)) for name in ("q", "k"))
    v = layers.Dense(12, name="v")(x)
    kv = layers.Dot(axes=1)([k, v])
    total = layers.Dot(axes=(2, 1))([q, layers.Dot(axes=1)([k, 0 * v[..., :1] + 1])])
    return flavour.keras.Model(sequence, layers.Dense(3, name="end")(layers.Dot(axes=(2, 1))([q, kv]) / (total + 1e-3)))


def exported(model, path, rng):
    shape = model.inputs[0].shape[1:]
    x = rng.normal(size=(64, *shape)).astype("float32")
    x[::8] = 0
    result = export_tflite(model, path, precision="int8", calibration=x)
    return result, x


@pytest.mark.either_keras
@pytest.mark.parametrize("least", [1e-6, 20.0])
def test_a_divisor_that_may_vanish_keeps_its_division_in_float(keras_flavour, rng, tmp_path, least):
    model = quotient(keras_flavour, least)
    result, x = exported(model, tmp_path / "m.tflite", rng)
    divisions = [op for op in read_tflite(tmp_path / "m.tflite").ops if op.name == "DIV"]
    assert [op.inputs[1].dtype for op in divisions] == ["FLOAT32" if least < 1 else "INT8"]
    said = [line for line in result.summary() if "8 bits may round a divisor to 0" in line]
    assert len(said) == (least < 1)
    others = {name for name in result.float_ops_left if name not in ("DIV", "ADD")}
    assert not others, "the layers with weights, and the residual, stay in int8"
    # Data that calibration did not see: the file runs, and is the model as far as 8 bits of the layers before allow.
    assert np.isfinite(verify(model, tmp_path / "m.tflite", data=-x).outputs[0].measurement.sqnr_db)


@pytest.mark.either_keras
def test_linear_attention_runs_in_int8(keras_flavour, rng, tmp_path):
    model = linear_attention(keras_flavour)
    result, x = exported(model, tmp_path / "m.tflite", rng)
    assert "FULLY_CONNECTED" not in result.float_ops_left
    assert result.float_ops_left["DIV"] == 1
    assert result.float_ops_left["BATCH_MATMUL"] == 4
    assert verify(model, tmp_path / "m.tflite", data=x)


def test_the_threshold_is_some_steps():
    from kerasbn_export.conversion.divisions import _may_vanish

    class Ranges:
        def __init__(self, low, high):
            self.quantization = type("Q", (), {"min": np.array([low]), "max": np.array([high])})

    assert _may_vanish(Ranges(0.9 * STEPS / LEVELS, 1.0))
    assert not _may_vanish(Ranges(1.1 * STEPS / LEVELS, 1.0))
    assert not _may_vanish(Ranges(-1.0, -1.1 * STEPS / LEVELS))
    assert _may_vanish(Ranges(-1.0, 1.0))
    assert not _may_vanish(type("Constant", (), {"quantization": None}))
