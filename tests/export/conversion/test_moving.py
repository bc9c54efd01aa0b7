"""What only moves numbers does so in integers, with the same result; what is to stay in float does."""

import numpy as np
import pytest
import tensorflow as tf

from kerasbn_export import export_tflite
from kerasbn_export.conversion.litert.moving import moved_in_integers
from kerasbn_export.tflite.file import read_tflite
from kerasbn_export.tflite.flatbuffer import op_name, parse, serialize

pytestmark = [pytest.mark.either_keras, pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")]


@pytest.fixture
def data(rng):
    return rng.normal(size=(16, 6, 6, 4)).astype("float32")


@pytest.fixture
def content(keras_flavour, data, tmp_path):
    """A file in which a repetition stands in float between two convolutions in int8."""
    layers = keras_flavour.keras.layers

    class Repeated(layers.Layer):
        def call(self, inputs):
            return tf.tile(inputs, [1, 2, 1, 1])

    image = keras_flavour.keras.Input((6, 6, 4))
    x = Repeated(name="repeated")(layers.Conv2D(4, 1, activation="relu", name="before")(image))
    model = keras_flavour.keras.Model(image, layers.Conv2D(2, 3, name="behind")(x))
    options = {"keep_float": ["repeated"], "best": False}
    return export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=data, **options).path.read_bytes()


def names(content):
    return [op.name for op in read_tflite(content).ops]


def given(content, data):
    interpreter = tf.lite.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (end,) = interpreter.get_input_details()
    scale, zero = end["quantization"]
    interpreter.set_tensor(end["index"], np.clip(np.rint(data[:1] / scale) + zero, -128, 127).astype("int8"))
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def on_another_grid(content):
    """The same with the QUANTIZE behind it to a grid of twice the step."""
    model = parse(content)
    (graph,) = model.subgraphs
    behind = next(op for op in graph.operators if op_name(model, op) == "QUANTIZE")
    grid = graph.tensors[behind.outputs[0]].quantization
    grid.scale = grid.scale * 2
    return serialize(model)


def test_the_integers_are_moved(content, data):
    assert {"DEQUANTIZE", "QUANTIZE", "TILE"} <= set(names(content))
    moved = moved_in_integers(content)
    assert {"DEQUANTIZE", "QUANTIZE"}.isdisjoint(names(moved))
    assert np.array_equal(given(content, data), given(moved, data))


def test_from_one_grid_to_another_a_quantize_stays(content, data):
    other = on_another_grid(content)
    moved = moved_in_integers(other)
    assert [name for name in names(moved) if name in ("DEQUANTIZE", "QUANTIZE")] == ["QUANTIZE"]
    steps = given(other, data).astype(int) - given(moved, data)
    assert np.abs(steps).max() <= 2  # a number half way between two steps may go to either


def test_what_is_to_stay_in_float_does(content):
    kept = [op.outputs[0].name for op in read_tflite(content).ops if op.name == "TILE"]
    assert names(moved_in_integers(content, kept)) == names(content)
