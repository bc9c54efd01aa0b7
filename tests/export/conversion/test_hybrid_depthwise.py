"""A depthwise convolution of floats by int8 has a scale for each channel: LiteRT reads so many."""

import numpy as np
import pytest

from kerasbn_export import verify
from kerasbn_export.conversion import convert as conversion
from kerasbn_export.export.tflite import export_tflite
from kerasbn_export.tflite.file import read_tflite


def model_of(flavour, *layers):
    keras = flavour.keras
    x = y = keras.Input((6, 6, 128), name="x")
    for layer in layers:
        y = layer(y)
    model = keras.Model(x, y)
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
    return model


@pytest.mark.either_keras
@pytest.mark.parametrize("options", [{"kernel_size": 3}, {"kernel_size": 3, "depth_multiplier": 2}, {"kernel_size": 5}])
def test_the_file_is_the_model(keras_flavour, tmp_path, options):
    layers = keras_flavour.keras.layers
    model = model_of(keras_flavour, layers.DepthwiseConv2D(name="depthwise", **options), layers.Conv2D(16, 1))
    result = export_tflite(model, tmp_path / "m.tflite", precision="dynamic", weights="per-tensor")
    assert verify(model, result.path)
    kernels = {op.name: op.inputs[1] for op in read_tflite(result.path).ops}
    assert kernels["DEPTHWISE_CONV_2D"].scales == 128 * options.get("depth_multiplier", 1)
    assert kernels["CONV_2D"].scales == 1


def test_with_one_scale_it_would_be_another(keras_flavour, tmp_path, monkeypatch):
    monkeypatch.setattr(conversion, "mended", lambda data: data)
    model = model_of(keras_flavour, keras_flavour.keras.layers.DepthwiseConv2D(3, name="depthwise"))
    result = export_tflite(model, tmp_path / "m.tflite", precision="dynamic", weights="per-tensor")
    assert not verify(model, result.path)


def test_int8_keeps_one_scale(keras_flavour, tmp_path):
    model = model_of(keras_flavour, keras_flavour.keras.layers.DepthwiseConv2D(3, name="depthwise"))
    result = export_tflite(
        model, tmp_path / "m.tflite", precision="int8", calibration="random", weights="per-tensor", best=False
    )
    assert [op.inputs[1].scales for op in read_tflite(result.path).ops] == [1]
