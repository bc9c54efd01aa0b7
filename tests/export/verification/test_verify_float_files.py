"""Float files of the stock converter, which moves the bias of one Dense into the next."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from kerasbn.flavour import Flavour
from kerasbn_export.algebra.affine import Affine
from kerasbn_export.capture import capture
from kerasbn_export.emit.emit import emit
from kerasbn_export.verification.compare import Question, compare
from kerasbn_export.verification.faults import SUBJECTS, convert
from kerasbn_export.verification.faults.file import File
from kerasbn_export.verification.layers.forward import with_affine
from kerasbn_export.verification.sides.open import open_runnable
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner

pytestmark = [
    pytest.mark.either_keras,
    pytest.mark.filterwarnings(r"ignore:\s*Warning. tf.lite.Interpreter is deprecated"),
]
QUESTION = Question(data=None, seed=0, samples=4, scales=(1.0,), tolerance=None, min_sqnr=None, layers=True)


@functools.lru_cache
def case(flavour):
    """A model and its correct float32 file."""
    subject = next(subject for subject in SUBJECTS if subject.name == "separable")
    reference = open_runnable(subject.build(Flavour(flavour)), backend="builtin", allow_code=False)
    graph = capture(reference.original)
    convert(graph)
    return reference, tf.lite.TFLiteConverter.from_keras_model(emit(graph)).convert()


class Floats(File):
    """A file whose float32 constants can be changed."""

    def change(self, tensor, change):
        buffer = self.model.buffers[tensor.buffer]
        array = np.frombuffer(np.asarray(buffer.data, np.uint8).tobytes(), np.float32).reshape(tensor.shape).copy()
        buffer.data = np.frombuffer(change(array).astype(np.float32).tobytes(), np.uint8)

    def node(self, name, kinds=("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")):
        return next(node for node in self.nodes if node.kind in kinds and name in node.output_name)

    def dense(self, number):
        return [node for node in self.nodes if node.kind == "FULLY_CONNECTED"][number]


def compared(flavour, damage):
    reference, content = case(flavour.name)
    file = Floats(content)
    damage(file)
    return compare(reference, TFLiteRunner(file.content(), "m.tflite", "builtin"), QUESTION)


def percent(kernel):
    kernel[5] *= 1.01
    return kernel


def test_a_correct_file_has_no_layer_to_excuse(keras_flavour):
    report = compared(keras_flavour, lambda _: None)
    assert report, report.verdict
    assert all(layer.passed and not layer.moved for layer in report.per_layer)
    assert {"dense", "left", "right"} <= {layer.layer for layer in report.per_layer}


def test_a_channel_that_a_relu_shuts_is_judged_by_its_weights(keras_flavour):
    """Channel 5 gives nothing on these inputs: the outputs are those of the right file."""
    report = compared(keras_flavour, lambda file: file.change(file.node("unscaled_conv").kernel, percent))
    assert all(report.outputs)
    assert report.exit_code == 1
    assert report.first_divergence.layer == "unscaled_conv"


def test_a_small_error_is_not_taken_for_moved(keras_flavour):
    """A bias that was moved on makes later layers differ and be right again, as a moved scale does."""
    report = compared(keras_flavour, lambda file: file.change(file.node("pooled_conv").kernel, lambda k: k * 1.0001))
    assert report.exit_code == 1
    assert report.first_divergence.layer == "pooled_conv"


def test_wrong_weights_behind_a_moved_bias_are_blamed_themselves(keras_flavour):
    report = compared(keras_flavour, lambda file: file.change(file.dense(1).kernel, lambda kernel: -kernel))
    assert report.exit_code == 1
    assert report.first_divergence.layer in ("left", "right")


def test_a_bias_that_was_moved_nowhere_is_blamed_on_its_layer(keras_flavour):
    reference, _ = case(keras_flavour.name)
    own = reference.original.get_layer("left").get_weights()[1]
    other = reference.original.get_layer("right").get_weights()[1]

    def forget(file):
        for number in (1, 2):
            tensor = file.dense(number).bias
            file.change(tensor, lambda b: min((own, other), key=lambda o: np.abs(o - b).sum()))

    report = compared(keras_flavour, forget)
    assert report.exit_code == 1
    assert report.first_divergence.layer == "dense"


def test_a_norm_before_a_grouped_convolution(keras_flavour, rng):
    """The channels of one group are not those of the next: this ended in an error of shapes."""
    keras = keras_flavour.keras
    inputs = keras.Input((6, 6, 4))
    model = keras.Model(inputs, keras.layers.Conv2D(6, 3, groups=2, name="grouped")(inputs))
    call = next(call for call in capture(model) if call.layer.name == "grouped")
    before = Affine(rng.normal(size=4), rng.normal(size=4))
    expected = call.layer.weights["kernel"].astype(np.float64)
    for channel in range(6):
        group = channel // 3
        for number in range(2):
            expected[:, :, number, channel] *= before.scale[2 * group + number]
    found = with_affine(call, before, None)[0].layer.weights["kernel"]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
