"""Layers with equal biases: in int16x8 the converter gives them one tensor, on the grid of the first."""

import numpy as np
import pytest

from kerasbn_export import export_tflite, quantize_aware, verify
from kerasbn_export.conversion import mended as mended_module

pytestmark = pytest.mark.either_keras


def network(flavour, kind):
    layers, rng = flavour.keras.layers, np.random.default_rng(0)
    image = flavour.keras.Input((6, 6, 8), name="image")
    cls = getattr(layers, kind)
    make = cls if kind == "Dense" else lambda units, **rest: cls(units, 3, padding="same", **rest)
    model = flavour.keras.Model(image, make(8, name="b")(make(8, activation="relu", name="a")(image)))
    for name, size in (("a", 1.0), ("b", 0.05)):
        kernel, bias = model.get_layer(name).get_weights()
        model.get_layer(name).set_weights([rng.normal(0, size, kernel.shape), np.full(len(bias), 0.5)])
    return model


@pytest.mark.parametrize("kind", ["Dense", "Conv2D", "Conv2DTranspose"])
@pytest.mark.parametrize("precision", ["int16x8", "int8"])
def test_equal_biases_are_right_in_both_layers(keras_flavour, rng, tmp_path, kind, precision):
    model, data = network(keras_flavour, kind), rng.normal(size=(16, 6, 6, 8)).astype("float32")
    export_tflite(model, tmp_path / "m.tflite", precision=precision, calibration=data, best=False)
    report = verify(model, tmp_path / "m.tflite", data=data)
    assert report
    assert report.outputs[0].measurement.sqnr_db > 30


def test_without_the_mend_the_file_is_wrong_and_found_so(keras_flavour, rng, tmp_path, monkeypatch):
    monkeypatch.setattr(mended_module, "separate_biases", lambda *_: False)
    model, data = network(keras_flavour, "Dense"), rng.normal(size=(16, 6, 6, 8)).astype("float32")
    export_tflite(model, tmp_path / "m.tflite", precision="int16x8", calibration=data, best=False)
    assert not verify(model, tmp_path / "m.tflite", data=data)


def test_a_trained_transposed_convolution_has_a_long_bias(keras_flavour, rng, tmp_path):
    """Its first input is a shape; with a bias of 32 bits LiteRT gave -4 dB."""
    data = rng.normal(size=(16, 6, 6, 8)).astype("float32")
    tuned = quantize_aware(network(keras_flavour, "Conv2DTranspose"), data, precision="int16x8")
    export_tflite(tuned, tmp_path / "m.tflite", precision="int16x8")
    report = verify(tuned, tmp_path / "m.tflite", data=data[:8])
    assert report
    assert report.outputs[0].measurement.sqnr_db > 60
