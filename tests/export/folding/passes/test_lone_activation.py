"""A ReLU that is fused nowhere gets an operation that fuses it, where int8 is asked for and only there."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from kerasbn_testing.judging import assert_folds, relative_error, run
from kerasbn_testing.statistics import data_for, randomise

from kerasbn_export import export_tflite
from kerasbn_export.folding.fold import fold
from kerasbn_export.folding.passes import companion
from kerasbn_export.tflite.file import read_tflite

RELUS = {
    "ReLU": lambda keras, x: keras.layers.ReLU()(x),
    "ReLU6": lambda keras, x: keras.layers.ReLU(max_value=6.0)(x),
    "Activation": lambda keras, x: keras.layers.Activation("relu")(x),
    "function": lambda keras, x: keras.ops.relu(x) if hasattr(keras, "ops") else keras.activations.relu(x),
}


def behind_a_transposed_convolution(keras, relu="ReLU", bias=False):
    inputs = keras.Input((6, 5, 3))
    x = keras.layers.Conv2DTranspose(4, 3, strides=2, use_bias=bias)(inputs)
    return keras.Model(inputs, keras.layers.Conv2D(3, 2)(RELUS[relu](keras, x)))


def with_another_user(keras):
    inputs = keras.Input((6, 5, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    return keras.Model(inputs, keras.layers.Add()([keras.layers.Conv2D(4, 1)(keras.layers.ReLU()(x)), x]))


def behind_a_transposed_convolution_with_a_bias(keras):
    return behind_a_transposed_convolution(keras, bias=True)


def behind_a_convolution(keras):
    inputs = keras.Input((6, 5, 3))
    return keras.Model(inputs, keras.layers.ReLU()(keras.layers.Conv2D(4, 3)(inputs)))


def of_rank_three(keras):
    inputs = keras.Input((6, 5))
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.ReLU()(keras.layers.UpSampling1D(2)(inputs))))


def of_another_kind(keras):
    inputs = keras.Input((6, 5, 3))
    return keras.Model(inputs, keras.layers.Activation("elu")(keras.layers.Conv2DTranspose(4, 3)(inputs)))


def before_an_average(keras):
    inputs = keras.Input((6, 5, 3))
    x = keras.layers.ReLU()(keras.layers.Conv2DTranspose(4, 3, use_bias=False)(inputs))
    return keras.Model(inputs, keras.layers.Conv2D(3, 2)(keras.layers.AveragePooling2D(2)(x)))


def companions(model, kind="MaxPooling2D"):
    return [layer for layer in model.layers if type(layer).__name__ == kind]


def random(model, rng):
    randomise(model, rng)
    return model


@pytest.mark.parametrize("relu", RELUS)
def test_every_relu_that_tflite_fuses_is_accompanied(keras_flavour, rng, relu):
    model = random(behind_a_transposed_convolution(keras_flavour.keras, relu), rng)
    folded, data = fold(model, precision="int8").model, data_for(model, rng)
    assert len(companions(folded)) == 1
    assert relative_error(run(folded, data), run(model, data)) < 2e-6


def test_a_value_with_another_user_keeps_it(keras_flavour, rng):
    model = random(with_another_user(keras_flavour.keras), rng)
    folded, data = fold(model, precision="int8").model, data_for(model, rng)
    assert len(companions(folded)) == 1
    assert relative_error(run(folded, data), run(model, data)) < 2e-6


OTHERS = (behind_a_convolution, behind_a_transposed_convolution_with_a_bias, of_rank_three, of_another_kind)


@pytest.mark.parametrize("build", OTHERS)
def test_others_stay_as_they_are(keras_flavour, rng, build):
    model = random(build(keras_flavour.keras), rng)
    assert not companions(fold(model, precision="int8").model)


@pytest.mark.parametrize("options", [{}, {"precision": "float32"}, {"precision": "int8", "target": "size"}], ids=str)
def test_it_is_done_for_int8_and_latency_only(keras_flavour, rng, options):
    model = random(behind_a_transposed_convolution(keras_flavour.keras), rng)
    assert not companions(fold(model, **options).model)
    assert_folds(model, data_for(model, rng))


@pytest.mark.either_keras
@pytest.mark.parametrize("bias", [False, True])
def test_no_relu_stands_alone_in_the_int8_file(keras_flavour, rng, tmp_path, bias):
    """And what rule and converter take for fused is the same: a bias of zeros is dropped, and a ReLU with it."""
    model = random(behind_a_transposed_convolution(keras_flavour.keras, bias=bias), rng)
    samples = rng.normal(size=(8, *model.input_shape[1:])).astype(np.float32)
    plain = export_tflite(model, tmp_path / "plain.tflite", precision="int8", calibration=samples, target="size").ops
    ours = export_tflite(model, tmp_path / "ours.tflite", precision="int8", calibration=samples).ops
    assert plain.get("RELU", 0) == (0 if bias else 1)
    assert "RELU" not in ours
    assert ours.get("MAX_POOL_2D", 0) == (0 if bias else 1)
    assert sum(ours.values()) == sum(plain.values())


@pytest.mark.either_keras
def test_a_pooling_has_the_scale_of_its_input(keras_flavour, rng, tmp_path):
    """So nothing is rounded a second time: the ReLU's numbers are those before it, cut off at zero."""
    model = random(with_another_user(keras_flavour.keras), rng)
    samples = rng.normal(size=(8, *model.input_shape[1:])).astype(np.float32)
    file = read_tflite(export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=samples).path)
    (pooling,) = (op for op in file.ops if op.name == "MAX_POOL_2D")
    before, after = values(tmp_path / "m.tflite", samples[0], pooling.inputs[0].name, pooling.outputs[0].name)
    assert np.any(before < 0)
    np.testing.assert_array_equal(after, np.maximum(before, 0))


def values(path, sample, *names):
    """The numbers of some tensors for one sample, computed by the reference kernels with every tensor kept."""
    kernels = OpResolverType.BUILTIN_REF
    interpreter = Interpreter(
        str(path), experimental_preserve_all_tensors=True, experimental_op_resolver_type=kernels, num_threads=1
    )
    interpreter.allocate_tensors()
    (end,) = interpreter.get_input_details()
    scale, zero = end["quantization"]
    interpreter.set_tensor(end["index"], np.clip(np.round(sample[None] / scale) + zero, -128, 127).astype(np.int8))
    interpreter.invoke()
    details = {detail["name"]: detail for detail in interpreter.get_tensor_details()}
    stored = [(interpreter.get_tensor(details[name]["index"]), *details[name]["quantization"]) for name in names]
    assert stored[0][1:] == stored[1][1:], "the pooling has a scale of its own"
    return [(array.astype(np.float64) - zero) * scale for array, scale, zero in stored]


def test_before_an_average_it_is_a_depthwise(keras_flavour, rng):
    model = random(before_an_average(keras_flavour.keras), rng)
    folded, data = fold(model, precision="int8").model, data_for(model, rng)
    assert (len(companions(folded, "DepthwiseConv2D")), len(companions(folded))) == (1, 0)
    assert relative_error(run(folded, data), run(model, data)) < 2e-6


def test_without_its_condition_it_costs_an_operation_and_is_no_less_exact(keras_flavour, rng, monkeypatch):
    model = random(behind_a_convolution(keras_flavour.keras), rng)
    monkeypatch.setattr(companion, "fuses", lambda *_: False)
    folded, data = fold(model, precision="int8").model, data_for(model, rng)
    assert len(companions(folded)) == 1
    assert relative_error(run(folded, data), run(model, data)) < 2e-6
