"""Quantised files: what rounding to their grids does not explain is caught and named, and no correct file is blamed."""

import functools
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from kerasbn.flavour import Flavour
from kerasbn_export import export_tflite, verify
from kerasbn_export.capture import capture
from kerasbn_export.emit.emit import emit
from kerasbn_export.tflite.interpreter import BACKENDS
from kerasbn_export.tflite.layer_names import Provenance
from kerasbn_export.verification.compare import RANDOM, RANDOM_DYNAMIC, Question, _unproven, compare
from kerasbn_export.verification.faults import QUANTIZED, SUBJECTS, convert
from kerasbn_export.verification.faults.file import File
from kerasbn_export.verification.layers.locate import Located
from kerasbn_export.verification.sides.open import open_runnable
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner

pytestmark = [
    pytest.mark.either_keras,
    pytest.mark.filterwarnings("ignore:Statistics for quantized inputs"),  # the stock converter, of float inputs
    pytest.mark.filterwarnings(r"ignore:\s*Warning. tf.lite.Interpreter is deprecated"),  # it calibrates with it
]


def samples(count, seed):
    """Each channel of a sample has an offset of its own, or all samples would average to the same."""
    rng = np.random.default_rng(seed)
    return (rng.normal(scale=3.0, size=(count, 1, 1, 3)) + rng.normal(size=(count, 8, 8, 3))).astype(np.float32)


QUESTION = Question(data=samples(4, 1), seed=0, samples=4, scales=(1.0,), tolerance=None, min_sqnr=None, layers=True)


@functools.lru_cache
def case(flavour):
    """A model and its correct int8 file."""
    reference = open_runnable(SUBJECTS[0].build(Flavour(flavour)), backend="builtin", allow_code=False)
    graph = capture(reference.original)
    convert(graph)
    return reference, int8(emit(graph))


def int8(model, measured=None):
    """What the stock converter makes of it."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x[None]] for x in (samples(64, 0) if measured is None else measured))
    return converter.convert()


def test_what_random_samples_are_worth(keras_flavour):
    """A file that differs on them alone may be right on real ones. Not so: given ones, a layer beyond rounding."""
    reference, content = case(keras_flavour.name)
    candidate = TFLiteRunner(content, "m.tflite", "builtin")
    strict = replace(QUESTION, min_sqnr=90.0)
    assert compare(reference, candidate, strict).exit_code == 1
    drawn = compare(reference, candidate, replace(strict, data=None))
    assert drawn.exit_code == 2
    assert any(RANDOM in record.reason for record in drawn.outputs)
    layer = next(layer for layer in drawn.per_layer if layer.rounding is not None)
    unknown = replace(layer, passed=False, rounding=None)
    for found, precision, why in (
        (layer, "int8", RANDOM),
        (replace(layer, passed=False), "int8", ""),
        (unknown, "int8", RANDOM),
        (layer, "dynamic", RANDOM_DYNAMIC),
        (unknown, "dynamic", ""),
        (layer, "float32", ""),
    ):
        assert _unproven(Located((found,), (), None, (1, 1)), precision) == why
    assert _unproven(Located((), (), None, (0, 0)), "int8") == ""


def bent(x):
    """An ELU, which the converter writes as a sum: its first part alone is half of what the layer gives."""
    return tf.maximum(x, 0.0) + tf.math.expm1(tf.minimum(x, 0.0))


def test_a_part_of_an_activation_is_not_the_activation(keras_flavour, tmp_path, rng):
    keras, layers = keras_flavour.keras, keras_flavour.keras.layers
    x = keras.Input((6, 6, 4))
    y = layers.Activation(bent, name="bent")(layers.Conv2D(4, 3, name="first")(x))
    model = keras.Model(x, layers.Dense(3, name="last")(y))
    data = 2 * rng.normal(size=(64, 6, 6, 4)).astype("float32")
    path = export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=data, best=False).path
    report = verify(model, path, data=data[:8])
    assert report, str(report)
    (record,) = [layer for layer in report.per_layer if layer.layer == "bent"]
    assert record.passed
    assert record.local_sqnr_db > 20


def test_a_file_that_random_samples_clip_is_unproven(keras_flavour):
    """Every layer is right, and the ranges were measured on smooth images, on which differences are small."""
    layers = keras_flavour.keras.layers
    x = keras_flavour.keras.Input((8, 8, 3))
    model = keras_flavour.keras.Model(x, layers.Conv2D(4, (1, 2))(x))
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel - kernel.mean(axis=1, keepdims=True), bias])
    noisy = samples(64, 0)
    smooth = noisy.mean(axis=(1, 2), keepdims=True) + 0.3 * noisy
    reference = open_runnable(model, backend="builtin", allow_code=False)
    candidate = TFLiteRunner(int8(model, smooth), "m.tflite", "builtin")
    report = compare(reference, candidate, replace(QUESTION, data=None))
    assert report.exit_code == 2, report.verdict
    assert "real samples (--data" in report.verdict
    assert compare(reference, candidate, replace(QUESTION, data=smooth[:4]))
    assert compare(reference, candidate, QUESTION).exit_code == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_correct_file_is_equal_and_far_from_the_bound(keras_flavour, backend):
    reference, content = case(keras_flavour.name)
    report = compare(reference, TFLiteRunner(content, "m.tflite", backend), QUESTION)
    assert report, report.verdict
    known = [layer for layer in report.per_layer if layer.rounding is not None]
    assert len(known) >= 12
    assert max(layer.rounding for layer in known) < 0.7
    assert len(report.weights) >= 20
    assert all(weight.passed for weight in report.weights)


def test_a_batchnorm_that_the_converter_moved_forward_is_known(keras_flavour):
    """The stock converter puts that between two Dense layers into the second one, of which it leaves no tensor."""
    reference, _ = case(keras_flavour.name)
    content = int8(reference.original)
    report = compare(reference, TFLiteRunner(content, "m.tflite", "builtin"), QUESTION)
    assert report, report.verdict
    moved = {weight.layer: weight for weight in report.weights if weight.layer in ("left", "right")}
    assert sorted(moved) == ["left", "right"]
    file = File(content)
    node = [node for node in file.nodes if node.kind == "FULLY_CONNECTED"][-1]
    kernel = file.stored(node.kernel).copy()
    kernel[1, 2] += 2 if kernel[1, 2] < 100 else -2
    file.store(node.kernel, kernel)
    report = compare(reference, TFLiteRunner(file.content(), "m.tflite", "builtin"), QUESTION)
    assert report.exit_code == 1
    assert report.first_divergence.layer == "right"


@pytest.mark.sweep
@pytest.mark.parametrize("fault", QUANTIZED, ids=lambda fault: fault.name.replace(" ", "-"))
def test_the_fault_is_caught_and_named(keras_flavour, fault):
    reference, content = case(keras_flavour.name)
    damaged, tensor = fault.apply(content)
    candidate = TFLiteRunner(damaged, "m.tflite", "builtin")
    report = compare(reference, candidate, QUESTION)
    assert report.exit_code == 1, f"{fault.name} passed: {report.verdict}"
    paths = [call.layer.path for call in reference.referee[0].computing()]
    blamed = Provenance(paths, [other.name for other in candidate.graph.tensors]).layers(tensor)
    assert report.first_divergence.layer in blamed, report.verdict


def test_a_sum_with_a_constant_has_a_bound(keras_flavour):
    """Or a lone ADD of small values fails by its noise, and a wrong layer behind it seems to make that good."""
    layers = keras_flavour.keras.layers
    x = keras_flavour.keras.Input((8, 8, 3))
    shifted = layers.Rescaling(1.0, [0.5, -0.2, 0.1], name="shift")(layers.Activation("tanh")(x))
    model = keras_flavour.keras.Model(x, layers.MaxPooling2D()(shifted))
    reference, content = open_runnable(model, backend="builtin", allow_code=False), int8(model)

    def judged(content):
        report = compare(reference, TFLiteRunner(content, "m.tflite", "builtin"), QUESTION)
        return report, next(layer for layer in report.per_layer if layer.layer == "shift")

    report, layer = judged(content)
    assert report, report.verdict
    assert layer.rounding < 1
    file = File(content)
    (node,) = [node for node in file.nodes if node.kind == "ADD"]
    constant = next(tensor for tensor in node.inputs if file.is_constant(tensor, "int8"))
    file.store(constant, np.roll(file.stored(constant), 1))
    report, layer = judged(file.content())
    assert report.exit_code == 1
    assert layer.rounding > 1
    assert report.first_divergence.layer == "shift"


def clipped(content):
    """The file with a third of the range that the middle convolution needs."""
    file = File(content)
    node = next(node for node in file.linear() if "padded_conv" in node.output_name)
    node.output.quantization.scale = [float(node.output.quantization.scale[0]) / 3]
    return TFLiteRunner(file.content(), "m.tflite", "builtin")


def test_clipped_values_are_seen_where_every_output_passes(keras_flavour):
    """Or a range that was measured on too little goes unseen: no rounding bound tells of what lies outside."""
    reference, content = case(keras_flavour.name)
    report = compare(reference, clipped(content), QUESTION)
    assert all(report.outputs)
    assert report.exit_code == 1
    assert report.first_divergence.layer == "padded_conv"
    assert "of the values of 'padded_conv' are clipped: the range of tensor" in report.verdict
    (layer,) = [layer for layer in report.per_layer if layer.clipping]
    assert layer.clipping.sqnr_db < 15
    assert layer.clipping.reached[1] > 1.5 * layer.clipping.held[1]
    assert not layer.passed
    assert layer.rounding > 1


def test_values_clipped_on_random_inputs_are_a_note(keras_flavour):
    reference, content = case(keras_flavour.name)
    report = compare(reference, clipped(content), replace(QUESTION, data=None))
    assert report, report.verdict
    assert any(note.startswith("on random inputs") and "'padded_conv' are clipped" in note for note in report.notes)
    assert not any(layer.clipping for layer in report.per_layer)


@pytest.mark.parametrize("size", [2.0, 3.0])
def test_a_correct_file_is_not_blamed_for_samples_beyond_its_ranges(keras_flavour, size):
    reference, content = case(keras_flavour.name)
    report = compare(
        reference, TFLiteRunner(content, "m.tflite", "builtin"), replace(QUESTION, data=size * samples(8, 3))
    )
    assert report, report.verdict


def test_one_sample_far_beyond_is_not_enough(keras_flavour):
    """Of a correct file, whose outputs pass."""
    reference, content = case(keras_flavour.name)
    candidate = TFLiteRunner(content, "m.tflite", "builtin")
    data = samples(4, 3)
    data[2] *= 10
    alone = compare(reference, candidate, replace(QUESTION, data=data[2:3]))
    assert [layer.layer for layer in alone.per_layer if layer.clipping]
    report = compare(reference, candidate, replace(QUESTION, data=data))
    assert report, report.verdict
    assert report.outputs[0].measurement.worst_sample == 2


def test_there_are_faults_of_zero_points_scales_and_biases():
    assert len({fault.name for fault in QUANTIZED}) == len(QUANTIZED) >= 15
    assert all(fault.text.endswith(".") for fault in QUANTIZED)


def test_a_fault_changes_one_thing_and_leaves_the_file_it_was_given():
    _, content = case("tf_keras")
    before = bytes(content)
    for fault in QUANTIZED:
        damaged, _ = fault.apply(content)
        old, new = File(content), File(damaged)
        kept = sum(_same(a, b) for a, b in zip(_stored(old), _stored(new), strict=True))
        assert len(_stored(old)) - kept == 1, fault.name
    assert bytes(content) == before


def _stored(file):
    scales = [(t.quantization.scale, t.quantization.zeroPoint) if t.quantization else () for t in file.tensors]
    return list(zip(scales, [file.model.buffers[t.buffer].data for t in file.tensors], strict=True))


def _same(a, b):
    (p, x), (q, y) = a, b
    data = (x is None) == (y is None) and (x is None or np.array_equal(x, y))
    return data and all(np.array_equal(m, n) for m, n in zip(p, q, strict=True))
