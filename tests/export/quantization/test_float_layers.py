"""A layer that stays in float between quantized ones: the converter would quantize it by itself."""

import numpy as np
import pytest
from kerasbn_testing.statistics import randomise
from kerasbn_testing.tuning import images

from kerasbn.errors import ConversionError
from kerasbn_export import export_tflite, quantize_aware, verify
from kerasbn_export.tflite import float_marks
from kerasbn_export.tflite.file import read_tflite
from kerasbn_export.tflite.flatbuffer import content_of, dtype_name, parse

pytestmark = pytest.mark.either_keras

KEPT = {
    "Conv2D": ("CONV_2D", lambda layers: layers.Conv2D(4, 3, padding="same", name="kept")),
    "Conv2D, dilated": ("CONV_2D", lambda layers: layers.Conv2D(4, 3, dilation_rate=2, name="kept")),
    "DepthwiseConv2D": ("DEPTHWISE_CONV_2D", lambda layers: layers.DepthwiseConv2D(3, name="kept")),
    "Conv2DTranspose": ("TRANSPOSE_CONV", lambda layers: layers.Conv2DTranspose(4, 2, strides=2, name="kept")),
    "Dense": ("FULLY_CONNECTED", lambda layers: layers.Dense(5, name="kept")),
    "Conv2D, grouped": ("CONV_2D", lambda layers: layers.Conv2D(4, 3, groups=2, name="kept")),
    "Conv2D, fused": ("CONV_2D", lambda layers: layers.Conv2D(4, 3, activation="relu", name="kept")),
}


def network(flavour, rng, make):
    """The layer between two convolutions."""
    layers = flavour.keras.layers
    x = inputs = flavour.keras.Input((8, 8, 3))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(6, 3, padding="same", name="first")(x)))
    x = layers.Conv2D(3, 1, name="last")(layers.MaxPooling2D(2)(make(layers)(x)))
    model = flavour.keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
    randomise(model, rng)
    return model


def float_constants(path):
    """The numbers that a file holds in float, sorted, by their count."""
    model = parse(path.read_bytes())
    tensors = [tensor for tensor in model.subgraphs[0].tensors if dtype_name(tensor) == "float32"]
    found = [np.sort(np.frombuffer(content_of(model, tensor), np.float32)) for tensor in tensors]
    return {len(each): each for each in found if len(each) > 8}


@pytest.mark.parametrize("kind", KEPT)
def test_it_is_in_float_with_the_kernel_it_has(keras_flavour, rng, tmp_path, kind):
    name, make = KEPT[kind]
    model, x = network(keras_flavour, rng, make), images(rng)
    tuned = quantize_aware(model, x, keep_float=["kept"])
    path = tmp_path / "m.tflite"
    export_tflite(tuned, path)
    ops = read_tflite(path).ops
    assert [op.name for op in ops if op.outputs[0].dtype == "FLOAT32" and op.name != "DEQUANTIZE"] == [name]
    kernel = next(layer for layer in tuned.layers if layer.name.startswith("kept") and layer.weights).get_weights()[0]
    np.testing.assert_array_equal(float_constants(path)[kernel.size], np.sort(kernel, axis=None))
    assert verify(tuned, path, data=x)
    assert verify(model, path, data=x)


OTHERS = {
    "Softmax": ("SOFTMAX", lambda layers: layers.Softmax(name="kept")),
    "sigmoid": ("LOGISTIC", lambda layers: layers.Activation("sigmoid", name="kept")),
    "tanh": ("TANH", lambda layers: layers.Activation("tanh", name="kept")),
    "AveragePooling2D": ("AVERAGE_POOL_2D", lambda layers: layers.AveragePooling2D(2, name="kept")),
    "bilinear": ("RESIZE_BILINEAR", lambda layers: layers.UpSampling2D(2, interpolation="bilinear", name="kept")),
    "Concatenate": ("CONCATENATION", lambda layers: lambda x: layers.Concatenate(name="kept")(two(layers, x))),
    "Maximum": ("MAXIMUM", lambda layers: lambda x: layers.Maximum(name="kept")(two(layers, x))),
    "Add": ("ADD", lambda layers: lambda x: layers.Add(name="kept")(two(layers, x))),
}


def two(layers, x):
    """A value and another of its shape."""
    return [x, layers.Conv2D(6, 1, activation="relu", name="beside")(x)]


@pytest.mark.sweep
@pytest.mark.parametrize("kind", OTHERS)
def test_a_layer_without_weights_is_in_float_too(keras_flavour, rng, tmp_path, kind):
    name, make = OTHERS[kind]
    model, x = network(keras_flavour, rng, make), images(rng)
    tuned = quantize_aware(model, x, keep_float=["kept"])
    tuned.save(tmp_path / "tuned.keras")
    again = keras_flavour.keras.models.load_model(tmp_path / "tuned.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), tuned.predict(x, verbose=0))
    path = tmp_path / "m.tflite"
    result = export_tflite(again, path)
    assert [
        op.name for op in read_tflite(path).ops if op.outputs[0].dtype == "FLOAT32" and op.name != "DEQUANTIZE"
    ] == [name]
    assert result.float_ops_left == {name: 1}
    assert verify(tuned, path, data=x)
    assert verify(model, path, data=x)


def test_a_mark_that_the_converter_loses_is_no_file(keras_flavour, rng, tmp_path, monkeypatch):
    model, x = network(keras_flavour, rng, KEPT["Conv2D"][1]), images(rng)
    tuned = quantize_aware(model, x, keep_float=["kept"])
    monkeypatch.setattr(float_marks, "MARK", "another name")
    with pytest.raises(ConversionError, match="made 0 of 1 layers that stay in float"):
        export_tflite(tuned, tmp_path / "m.tflite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "op"), [("Conv1D", "CONV_2D"), ("Conv1DTranspose", "TRANSPOSE_CONV")])
def test_behind_a_reshaping_it_is_right_too(keras_flavour, rng, tmp_path, name, op):
    layers = keras_flavour.keras.layers
    x = inputs = keras_flavour.keras.Input((8, 3))
    x = getattr(layers, name)(4, 3, name="kept")(layers.Conv1D(6, 3, activation="relu")(x))
    model = keras_flavour.keras.Model(inputs, layers.Conv1D(2, 1)(layers.MaxPooling1D(2)(x)))
    data = rng.normal(size=(32, 8, 3)).astype("float32")
    tuned = quantize_aware(model, data, keep_float=["kept"])
    result = export_tflite(tuned, tmp_path / "m.tflite")
    assert result.float_ops_left[op] == 1
    kernel = next(layer for layer in tuned.layers if layer.name.startswith("kept") and layer.weights).get_weights()[0]
    np.testing.assert_array_equal(float_constants(tmp_path / "m.tflite")[kernel.size], np.sort(kernel, axis=None))
    assert verify(tuned, tmp_path / "m.tflite", data=data)
