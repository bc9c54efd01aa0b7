"""A convolution of three dimensions takes its bias and its ReLU in, where the file is written."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils
from kerasbn_testing.statistics import randomise

from kerasbn.errors import ModelFileError
from kerasbn_export import export_tflite, fold, verify
from kerasbn_export.conversion import conv3d
from kerasbn_export.conversion.convert import convert
from kerasbn_export.conversion.options import ConversionOptions
from kerasbn_export.tflite.file import read_ops

pytestmark = pytest.mark.either_keras

KINDS = {"Conv3D": "CONV_3D", "Conv3DTranspose": "CONV_3D_TRANSPOSE"}
SHAPE = (4, 5, 5, 2)


def network(keras, kind, behind, rng, **options):
    """The convolution, and what ``behind`` makes of its output."""
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, behind(keras.layers, getattr(keras.layers, kind)(3, 3, **options)(inputs)))
    randomise(model, rng)
    return model


def relu_bn(layers, x):
    return layers.ReLU()(layers.BatchNormalization()(x))


def relu6_bn(layers, x):
    return layers.ReLU(6.0)(layers.BatchNormalization()(x))


def relu(layers, x):
    return layers.ReLU()(x)


def seen_twice(layers, x):
    return [layers.Rescaling(1.0, [1.0, 2.0, 3.0])(x), layers.Activation("tanh")(x)]


def relu_and_output(layers, x):
    return [layers.ReLU()(x), x]


def added_by_row(layers, x):
    return layers.Rescaling(1.0, [[[1.0]], [[2.0]], [[3.0]]])(x)


def written(model, path, **options):
    export_tflite(model, path, **options)
    return read_ops(path)


def error(model, path, rng):
    """The largest difference of the file from the model over the largest output; outputs by name."""
    x = rng.uniform(-3, 3, (1, *SHAPE)).astype("float32")
    expected = model.predict(x, verbose=0)
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    actual = [interpreter.get_tensor(end["index"]) for end in interpreter.get_output_details()]
    expected = expected if isinstance(expected, list) else [expected]
    pairs = [(a, b) for b in expected for a in actual if a.shape == b.shape]
    assert len(pairs) >= len(expected)
    assert all(np.any(b != 0) for b in expected)
    return max(min(np.max(np.abs(a - b)) / np.max(np.abs(b)) for a, b in pairs if b is y) for y in expected)


def judge(model, path, rng):
    assert error(model, path, rng) <= 2e-6


@pytest.mark.sweep
@pytest.mark.parametrize("behind", [relu_bn, relu6_bn, relu])
@pytest.mark.parametrize("kind", KINDS)
def test_one_operation_is_written(keras_flavour, rng, tmp_path, kind, behind):
    path = tmp_path / "m.tflite"
    model = network(keras_flavour.keras, kind, behind, rng, use_bias=False)
    assert written(model, path) == {KINDS[kind]: 1}
    assert error(model, path, rng) <= 2e-6
    assert verify(model, path)


def test_a_bias_in_half_precision_is_known_too(keras_flavour, rng, tmp_path):
    path = tmp_path / "m.tflite"
    model = network(keras_flavour.keras, "Conv3D", relu_bn, rng)
    assert written(model, path, precision="float16") == {"DEQUANTIZE": 2, "CONV_3D": 1}
    assert error(model, path, rng) <= 3e-3


def test_in_int8_the_sum_is_quantized_and_stays(keras_flavour, rng, tmp_path):
    samples = rng.uniform(-1, 1, (8, *SHAPE)).astype("float32")
    model = network(keras_flavour.keras, "Conv3D", relu_bn, rng)
    ops = written(model, tmp_path / "m.tflite", precision="int8", calibration=samples)
    assert ops["ADD"] == 1
    assert verify(model, tmp_path / "m.tflite", data=samples)


def any_user(graph, tensor):
    """`_sole_user`, but it does not ask who else sees the tensor."""
    users = [op for op in graph.operators if tensor in op.inputs]
    return max(users, key=lambda op: len(op.inputs), default=None)


STAYS = {
    "what others see": (seen_twice, "_sole_user", any_user),
    "what the model gives": (relu_and_output, "_sole_user", any_user),
    "a number for each row": (added_by_row, "_fits", lambda *_: True),
}


@pytest.mark.parametrize("name", STAYS)
def test_what_has_to_stay_stays(keras_flavour, rng, tmp_path, monkeypatch, name):
    behind, condition, without = STAYS[name]
    path = tmp_path / "m.tflite"
    model = network(keras_flavour.keras, "Conv3D", behind, rng, use_bias=False)
    assert {"ADD", "RELU"} & written(model, path).keys()
    assert error(model, path, rng) <= 2e-6
    monkeypatch.setattr(conv3d, condition, without)
    with pytest.raises((RuntimeError, ValueError, AssertionError, ModelFileError)):  # none that runs, or a wrong one
        judge(model, export_tflite(model, path).path, rng)


def changed(data, change):
    """How many operations a file has after `fuse_conv3d`, with a change made to its convolution first."""
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(data))
    change(model.subgraphs[0], model.subgraphs[0].operators[0])
    conv3d.fuse_conv3d(model)
    return len(model.subgraphs[0].operators)


def quantized(graph, conv):
    graph.tensors[conv.outputs[0]].type = 9


def biased(_, conv):
    conv.inputs[2] = conv.inputs[1]


def active(_, conv):
    conv.builtinOptions.fusedActivationFunction = 1


def late(graph, _):
    add = graph.operators[-1]
    graph.operators.sort(key=lambda op: add.inputs[1] in op.outputs or op is add)


def test_a_convolution_that_has_one_or_is_quantized_takes_none(keras_flavour, rng, monkeypatch):
    monkeypatch.setattr("kerasbn_export.conversion.relabel.fuse_conv3d", lambda _: None)
    data = convert(fold(network(keras_flavour.keras, "Conv3D", relu_bn, rng)).model)
    assert changed(data, lambda *_: None) == 1
    assert [changed(data, change) for change in (quantized, biased, active)] == [2, 2, 2]


def test_a_bias_that_is_known_too_late_is_none(keras_flavour, rng, monkeypatch):
    monkeypatch.setattr("kerasbn_export.conversion.relabel.fuse_conv3d", lambda _: None)
    model = network(keras_flavour.keras, "Conv3D", relu_bn, rng)
    data = convert(fold(model).model, ConversionOptions(precision="float16"))
    assert (changed(data, lambda *_: None), changed(data, late)) == (3, 4)
