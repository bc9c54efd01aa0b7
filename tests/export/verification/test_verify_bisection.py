"""Where keeping a file's tensors changes what it computes, the first wrong operation is found by cutting it."""

import math

import numpy as np
import pytest
import tensorflow as tf

from kerasbn.flavour import Flavour
from kerasbn_export.tflite.graph import TFLiteGraph
from kerasbn_export.verification.compare import Question, compare
from kerasbn_export.verification.faults.file import File
from kerasbn_export.verification.layers.bisection import bisect, cut, least
from kerasbn_export.verification.records.gates import GATES
from kerasbn_export.verification.sides.open import open_runnable
from kerasbn_export.verification.sides.tflite_runner import TFLiteRunner

pytestmark = pytest.mark.either_keras

DEPTH = 150
"""Dense layers, each with a LeakyReLU: 300 operations."""
QUESTION = Question(data=None, seed=0, samples=2, scales=(1.0,), tolerance=None, min_sqnr=None, layers=True)


def chain(depth):
    keras = Flavour("tf_keras").keras
    rng = np.random.default_rng(0)
    inputs = x = keras.Input((4,), batch_size=1, name="x")
    for i in range(depth):
        x = keras.layers.LeakyReLU(alpha=0.95, name=f"leak_{i}")(keras.layers.Dense(4, name=f"dense_{i}")(x))
    model = keras.Model(inputs, x)
    shapes = [array.shape for array in model.get_weights()]
    model.set_weights([np.linalg.qr(rng.normal(size=s))[0] if len(s) == 2 else rng.normal(size=s) for s in shapes])
    return model


def converted(model):
    return tf.lite.TFLiteConverter.from_keras_model(model).convert()


@pytest.fixture(scope="module")
def content():
    """The file of `chain`, from TensorFlow's own operations: Keras takes ten times as long."""
    rng = np.random.default_rng(0)
    kernels = [np.linalg.qr(rng.normal(size=(4, 4)))[0].astype("float32") for _ in range(DEPTH)]

    @tf.function(input_signature=[tf.TensorSpec((1, 4), name="x")])
    def computed(x):
        for i, kernel in enumerate(kernels):
            with tf.name_scope(f"dense_{i}"):
                x = tf.nn.bias_add(tf.matmul(x, kernel), rng.normal(size=4).astype("float32"))
            with tf.name_scope(f"leak_{i}"):
                x = tf.nn.leaky_relu(x, 0.95)
        return x

    return tf.lite.TFLiteConverter.from_concrete_functions([computed.get_concrete_function()]).convert()


class Changeable(TFLiteRunner):
    """A file that computes the right thing as soon as its tensors are kept."""

    def __init__(self, wrong, right):
        super().__init__(wrong, "m.tflite", "builtin")
        self._right = right
        self.graph = TFLiteGraph(right, "m.tflite")  # what is wrong is not in the file

    @property
    def keeping(self):
        return TFLiteRunner(self._right, "m.tflite", "builtin")._new_interpreter(keep=True)


def damaged(content, number):
    file = File(content)
    node = [node for node in file.nodes if node.kind == "FULLY_CONNECTED"][number]
    buffer = file.model.buffers[node.bias.buffer]
    bias = np.frombuffer(np.asarray(buffer.data, np.uint8).tobytes(), np.float32) + 1.0
    buffer.data = np.frombuffer(bias.astype(np.float32).tobytes(), np.uint8)
    return file.content()


@pytest.mark.parametrize("count", [1, 2, 300])
def test_the_least_is_found_in_few_questions(count):
    for wanted in range(1, count + 1):
        asked = []
        assert least(count, lambda n, wanted=wanted, asked=asked: asked.append(n) or n >= wanted) == wanted
        assert len(asked) <= math.ceil(math.log2(count))


@pytest.mark.parametrize("number", [0, 77, DEPTH - 1])
def test_of_300_operations_the_wrong_one_is_named_in_10_runs(content, number):
    candidate = Changeable(damaged(content, number), content)
    assert len(candidate.graph.operations) >= 300
    x = np.full((1, 4), 0.5, np.float32)
    found = bisect(candidate, [x], GATES["float32"])
    assert f"dense_{number}/" in found.tensor
    assert found.runs <= 10


def test_the_layer_is_named_where_all_kept_tensors_are_right():
    model = chain(4)
    content = converted(model)
    candidate = Changeable(damaged(content, 2), content)
    report = compare(open_runnable(model, backend="builtin", allow_code=False), candidate, QUESTION)
    assert report.exit_code == 1
    assert report.first_divergence.layer == "dense_2"
    assert "runs of pieces of the file" in report.verdict


def test_a_file_that_keeping_does_not_change_is_not_cut_in_vain(content):
    assert bisect(Changeable(content, content), [np.full((1, 4), 0.5, np.float32)], GATES["float32"]) is None


def test_a_piece_gives_what_the_whole_gives(content):
    whole = TFLiteRunner(content, "whole", "builtin")
    piece = TFLiteRunner(cut(content, 11), "piece", "builtin")
    x = np.random.default_rng(0).normal(size=(1, 4)).astype(np.float32)
    assert len(piece.graph.operations) == 11
    assert np.array_equal(piece.run([x])[0], whole.first_batch([whole.graph.operations[10].outputs[0]], [x])[0])
