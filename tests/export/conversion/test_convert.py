"""Conversion keeps names, order and numbers, and turns the converter's failures into errors."""

import gc

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from kerasbn.errors import CalibrationError, ConversionError, InvalidArgumentError
from kerasbn_export.calibration.samples import read_calibration
from kerasbn_export.conversion import isolate
from kerasbn_export.conversion.convert import convert
from kerasbn_export.conversion.options import ConversionOptions
from kerasbn_export.conversion.servable import model_inputs
from kerasbn_export.conversion.tensorflow import _old_objects_frozen, failure
from kerasbn_export.precision import CALIBRATED, PRECISIONS
from kerasbn_export.tflite.file import read_tflite

# TFLite gives the converter's order of inputs back in whatever order it likes, so the names are far from sorted.
NAMES = {"inputs": ["zeta", "alpha-1"], "outputs": ["sum", "narrow"]}


def two_by_two(flavour, *, dicts=False, batch_size=None):
    """Two inputs and two outputs of different shapes, so that no mix-up goes unseen."""
    keras, layers = flavour.keras, flavour.keras.layers
    names = ["z", "b"] if dicts else NAMES["inputs"]
    image = keras.Input((6, 6, 3), batch_size=batch_size, name=names[0])
    vector = keras.Input((4,), batch_size=batch_size, name=names[1])
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(image))
    total = layers.Add(name="sum")([pooled, layers.Dense(4, bias_initializer="ones")(vector)])
    narrow = layers.Dense(2, name="narrow")(total)
    if dicts:
        return keras.Model({"z": image, "b": vector}, {"s": total, "c": narrow})
    return keras.Model([image, vector], [total, narrow])


def samples(model, count, rng):
    return [rng.normal(size=(count, *wanted.shape[1:])).astype("float32") for wanted in model_inputs(model)]


def run(data, arrays):
    """The outputs in the file's order for inputs in the file's order."""
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    for detail, array in zip(interpreter.get_input_details(), arrays, strict=True):
        interpreter.set_tensor(detail["index"], array)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def expected(model, arrays, dicts):
    if not dicts:
        return [np.asarray(output) for output in model(arrays)]
    outputs = model({"b": arrays[0], "z": arrays[1]})
    return [np.asarray(outputs["c"]), np.asarray(outputs["s"])]


@pytest.mark.sweep
@pytest.mark.parametrize("dicts", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_inputs_and_outputs_have_the_names_and_the_order_of_the_model(keras_flavour, dicts, batch_size, rng):
    model = two_by_two(keras_flavour, dicts=dicts)
    data = convert(model, batch_size=batch_size)
    file = read_tflite(data)
    assert list(file.input_names) == (["b", "z"] if dicts else NAMES["inputs"])
    assert list(file.output_names) == (["c", "s"] if dicts else NAMES["outputs"])
    arrays = samples(model, batch_size, rng)
    for got, want in zip(run(data, arrays), expected(model, arrays, dicts), strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max())
    signature = Interpreter(model_content=data).get_signature_runner()
    named = signature(**dict(zip(file.input_names, arrays, strict=True)))
    assert {name: value.shape for name, value in named.items()} == {
        name: tensor.shape for name, tensor in zip(file.output_names, file.outputs, strict=True)
    }


def test_the_batch_stays_open_if_asked_for(keras_flavour):
    file = read_tflite(convert(two_by_two(keras_flavour), batch_size=None))
    assert [tensor.shape for tensor in file.inputs] == [(-1, 6, 6, 3), (-1, 4)]


def test_a_batch_that_the_model_fixes_is_kept(keras_flavour):
    file = read_tflite(convert(two_by_two(keras_flavour, batch_size=2), batch_size=1))
    assert [tensor.shape for tensor in file.inputs] == [(2, 6, 6, 3), (2, 4)]


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("precision", "io_dtype"),
    [(precision, io_dtype) for precision, row in PRECISIONS.items() for io_dtype in row.io_dtypes],
)
def test_each_precision_gives_the_type_of_inputs_and_outputs_asked_for(precision, io_dtype, keras_flavour, rng):
    model = two_by_two(keras_flavour)
    calibration = read_calibration(samples(model, 8, rng), model_inputs(model))
    options = ConversionOptions(precision, io_dtype)
    file = read_tflite(convert(model, options, calibration=calibration))
    assert {tensor.dtype for tensor in (*file.inputs, *file.outputs)} == {io_dtype.upper()}


def test_int8_calibrated_with_two_inputs_gives_each_its_own_range(keras_flavour, rng):
    """With the inputs mixed up the ranges would be off by the factor between them."""
    model = two_by_two(keras_flavour)
    arrays = samples(model, 16, rng)
    arrays[0] *= 100
    data = convert(
        model, ConversionOptions("int8", "float32"), calibration=read_calibration(arrays, model_inputs(model))
    )
    want = expected(model, [array[:1] for array in arrays], dicts=False)
    for got, reference in zip(run(data, [array[:1] for array in arrays]), want, strict=True):
        assert np.abs(got - reference).max() <= 0.1 * np.abs(reference).max()


@pytest.mark.parametrize("precision", sorted(CALIBRATED))
def test_without_calibration_the_error_says_what_to_pass(precision, keras_flavour):
    with pytest.raises(CalibrationError, match=r"needs calibration data: give samples .* calibration=\"random\""):
        convert(two_by_two(keras_flavour), ConversionOptions(precision))


@pytest.mark.parametrize(
    ("precision", "io_dtype", "message"),
    [
        ("int4", None, "'int4' is not known; accepted: float32, float16, dynamic, int16x8, int8"),
        ("float32", "int8", "'int8' do not go with precision 'float32'; accepted: float32"),
        ("int8", "int16", "accepted: int8, uint8, float32"),
    ],
)
def test_unknown_options_are_refused_with_the_known_ones(precision, io_dtype, message):
    with pytest.raises(InvalidArgumentError, match=message):
        ConversionOptions(precision, io_dtype)


def test_metadata_are_stored_in_the_file(keras_flavour):
    file = read_tflite(convert(two_by_two(keras_flavour), metadata={"kerasbn": b'{"a": 1}'}))
    assert file.metadata["kerasbn"] == b'{"a": 1}'


def test_an_operation_that_tflite_does_not_have_is_named(keras_flavour):
    import tensorflow as tf

    class Odd(keras_flavour.keras.layers.Layer):
        def call(self, x):
            return tf.math.igamma(x, x)

    x = keras_flavour.keras.Input((3,))
    with pytest.raises(ConversionError, match="no builtin operation for Igamma") as caught:
        convert(keras_flavour.keras.Model(x, Odd()(x)))
    assert caught.value.exit_code == 3


@pytest.mark.either_keras
def test_a_process_of_its_own_gives_the_same_file(keras_flavour, rng):
    model = two_by_two(keras_flavour)
    calibration = read_calibration(samples(model, 8, rng), model_inputs(model))
    options = ConversionOptions("int8", "uint8")
    here, there = (convert(model, options, calibration=calibration, isolate=own) for own in (False, True))
    arrays = [np.full(tensor.shape, 100, "uint8") for tensor in read_tflite(here).inputs]
    for a, b in zip(run(here, arrays), run(there, arrays), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_crash_of_the_converter_is_an_error(rng):
    """The int8 calibrator dies with a segmentation fault on this model."""
    import keras

    x = keras.Input((6, 4))
    model = keras.Model(x, keras.layers.LSTM(5)(x))
    calibration = read_calibration(rng.normal(size=(4, 6, 4)), model_inputs(model))
    with pytest.raises(ConversionError, match=r"converter crashed \(SIG[A-Z]+\)"):
        convert(model, ConversionOptions("int8"), calibration=calibration)


@pytest.mark.parametrize(
    ("child", "message"),
    [
        ("import os; os.abort()", r"crashed \(SIGABRT\)"),
        ("raise SystemExit('no memory')", "ended with code 1: no memory"),
        ("pass", "ended with code 0: no message"),
    ],
)
def test_however_the_child_ends_without_a_file_there_is_an_error(child, message, monkeypatch, tmp_path):
    real = isolate.subprocess.run
    monkeypatch.setattr(isolate.subprocess, "run", lambda command, **rest: real([command[0], "-c", child], **rest))
    servable = isolate.Servable(tmp_path, (), 1, loops=True)
    with pytest.raises(ConversionError, match=message):
        isolate.convert_isolated(servable, ConversionOptions("int8"), None)


@pytest.fixture
def thawed():
    """Nothing is frozen, as in a user's process; afterwards everything, as between tests."""
    gc.unfreeze()
    yield
    gc.freeze()


@pytest.mark.usefixtures("thawed")
def test_old_objects_sit_out_the_collection_that_the_converter_asks_for():
    assert gc.get_freeze_count() == 0
    with _old_objects_frozen():
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0


@pytest.mark.usefixtures("thawed")
def test_what_the_user_froze_stays_frozen():
    gc.freeze()
    frozen = gc.get_freeze_count()
    with _old_objects_frozen():
        pass
    assert gc.get_freeze_count() == frozen


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        ("TF Select ops: BitwiseAnd, Sign\nDetails:", "BitwiseAnd, Sign, which argmax and argmin of Keras 3 need"),
        ("TF Select ops: MaxPool3D\nDetails:", r"MaxPool3D. route='litert'"),
        ("Custom ops: MyOp\nDetails:", r"builtin operation for MyOp. select_ops=True"),
        ("Quantization to 16x8-bit not yet supported for op: 'NEG'.\n", r"int16x8 has no NEG. Use precision 'int8'"),
        ("x should be recorded during calibration: Failed for tensor a/Cast\n", "measured of 'a/Cast'.*'int8'"),
        ("something\nloc: error: other {thing}\n", "loc: error: other {thing}"),
        ("", "ValueError"),
    ],
)
def test_what_the_converter_says_is_put_in_words(said, understood):
    with pytest.raises(ConversionError, match=f"The TFLite converter failed: .*{understood}"):
        raise failure(ValueError(said), [], None)


@pytest.mark.either_keras
@pytest.mark.parametrize(
    ("precision", "dtype"), [("int8", "int8"), ("int8", "float32"), ("int16x8", "int16"), ("int16x8", "float32")]
)
def test_ends_of_integers_are_made_by_the_last_step(keras_flavour, rng, precision, dtype):
    model = two_by_two(keras_flavour)
    calibration = read_calibration(samples(model, 8, rng), model_inputs(model))
    made = read_tflite(convert(model, ConversionOptions(precision, dtype), calibration=calibration))
    assert {end.dtype.lower() for end in (*made.inputs, *made.outputs)} == {dtype}
