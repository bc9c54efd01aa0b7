"""A `call` of the user's may use TensorFlow's functions in Keras 3 as in Keras 2: the model is read, and folds."""

import functools
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from kerasbn_testing.hostile_models import write_keras

from kerasbn.errors import UnsafeModelError, UnsupportedModelError
from kerasbn.flavour import KERAS
from kerasbn_export import export_tflite, fold, verify
from kerasbn_export.capture.tensorflow_function import TensorFlowFunction, recorded_functions
from kerasbn_export.graph.pure_functions import FUNCTIONS
from kerasbn_export.loading.load import load_model

TAKE_NO_IMAGE = ("raw_ops.", "random.", "keras.", "experimental.")
NOT_SYMBOLIC = {
    "add_n", "as_string", "constant", "guarantee_const", "image.sobel_edges", "image.total_variation", "math.add_n",
    "io.serialize_tensor", "math.bincount", "signal.rfft", "signal.rfft2d", "signal.rfft3d", "strings.as_string",
    "squeeze",
}  # fmt: skip
"""They look at their argument before they ask the dispatcher, or take the size of the batch for a number."""


def image_functions():
    """From its name to every pure function that makes one tensor of one image, always the same."""
    found, x = {}, tf.random.uniform((2, 4, 4, 3), 0.1, 0.9, seed=1)
    for name in sorted(FUNCTIONS - NOT_SYMBOLIC):
        if not name.startswith(TAKE_NO_IMAGE):
            try:
                function = functools.reduce(getattr, name.split("."), tf)
                if isinstance(function(x), tf.Tensor) and np.array_equal(function(x), function(x)):
                    found[name] = function
            except Exception:  # noqa: S112  # it takes something else
                continue
    return found


def test_every_function_of_an_image_is_recorded_and_computes_the_same():
    x, symbolic = tf.random.uniform((2, 4, 4, 3), 0.1, 0.9, seed=1), keras.Input((4, 4, 3))
    functions = image_functions()
    assert len(functions) > 150
    for name, function in functions.items():
        with recorded_functions():
            y = function(symbolic)
        operation = y._keras_history[0]
        wanted = function(x)
        if isinstance(operation, TensorFlowFunction):  # and not what an operator of Keras gave
            np.testing.assert_array_equal(TensorFlowFunction.from_config(operation.get_config())(x), wanted, name)
        assert all(size in (None, real) for size, real in zip(y.shape[1:], wanted.shape[1:], strict=True)), name
        assert y.dtype == wanted.dtype.name, name


def test_outside_of_a_trace_keras_refuses_as_before():
    with recorded_functions():
        pass
    with pytest.raises(ValueError, match="KerasTensor cannot be used"):
        tf.nn.relu(keras.Input((3,)))


def network(flavour):
    """As users write them: TensorFlow's functions between layers, in layers of their own, with several results."""
    layers = flavour.keras.layers

    class Block(layers.Layer):
        def __init__(self, filters, **options):
            super().__init__(**options)
            self.conv = layers.Conv2D(filters, 3, padding="same")
            self.norm = layers.BatchNormalization()

        def call(self, x, training=None):
            return tf.nn.relu6(self.norm(self.conv(x), training=training))

    class Net(flavour.keras.Model):
        def __init__(self):
            super().__init__(name="net")
            self.blocks = [Block(6, name="one"), Block(6, name="two")]
            self.norm, self.mixed, self.head = layers.BatchNormalization(), layers.Conv2D(4, 1), layers.Dense(3)

        def call(self, x, training=False):
            first = self.blocks[0](x, training=training)
            left, right = tf.split(self.blocks[1](first, training=training), 2, axis=-1)
            x = tf.concat([left, 0.5 * right], axis=-1) + first
            x = tf.nn.leaky_relu(self.norm(self.mixed(x), training=training), alpha=0.1)
            return self.head(tf.reduce_mean(tf.where(x > 0.1, x, 0.1 * x), axis=[1, 2]))

    model = Net()
    model(np.zeros((1, 8, 8, 3), "float32"))
    return model


def randomised(model, rng):
    model.set_weights([rng.uniform(0.3, 1.5, weight.shape).astype("float32") - 0.2 for weight in model.get_weights()])
    return model


def test_a_subclassed_model_folds_and_its_files_are_equal(keras_flavour, rng, tmp_path):
    model = randomised(network(keras_flavour), rng)
    folded = fold(model)
    assert [verdict.gone for verdict in folded.verdicts] == [True] * 3
    x = rng.normal(size=(16, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(folded.model(x), model(x), rtol=1e-4, atol=1e-4)
    for precision, calibration in (("float32", None), ("int8", x)):
        result = export_tflite(model, tmp_path / "m.tflite", precision=precision, calibration=calibration)
        assert not result.unfolded
        assert verify(model, result.path, data=x), precision


def test_a_kernel_that_is_wrong_is_found_behind_such_functions(keras_flavour, rng, tmp_path):
    model = randomised(network(keras_flavour), rng)
    result = export_tflite(model, tmp_path / "m.tflite")
    model.mixed.set_weights([weight * 1.01 for weight in model.mixed.get_weights()])
    report = verify(model, result.path)
    assert report.exit_code == 1
    assert "mixed" in str(report) or "conv2d" in str(report)


def test_the_folded_model_is_read_by_keras_in_another_process(rng, tmp_path):
    model = randomised(network(KERAS), rng)
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    np.savez(tmp_path / "x.npz", x=x, y=model(x))
    fold(model).model.save(tmp_path / "folded.keras")
    assert load_model(tmp_path / "folded.keras").name == "net"
    code = """
import keras, numpy as np, sys
from kerasbn_export import TensorFlowFunction
given = np.load(sys.argv[2])
np.testing.assert_allclose(keras.models.load_model(sys.argv[1])(given["x"]), given["y"], rtol=1e-4, atol=1e-4)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "folded.keras", tmp_path / "x.npz"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["io.write_file", "py_function", "numpy_function", "no.such", "load_library", "nn"])
def test_no_function_that_does_more_is_made_from_a_configuration(name):
    with pytest.raises(ValueError, match="only computes"):
        TensorFlowFunction(name)


def test_a_file_that_names_such_a_function_is_refused(tmp_path):
    inputs = keras.Input((3,))
    with recorded_functions():
        model = keras.Model(inputs, tf.nn.relu(inputs))
    config = json.dumps(keras.saving.serialize_keras_object(model)).replace("nn.relu", "io.write_file")
    write_keras(tmp_path / "m.keras", json.loads(config), keras.__version__)
    with pytest.raises(UnsafeModelError, match=r"tf\.io\.write_file"):
        load_model(tmp_path / "m.keras")


@pytest.mark.parametrize(
    "call",
    [lambda bn, x: tf.map_fn(bn, x), lambda bn, x: tf.cond(tf.reduce_sum(x) > 0, lambda: bn(x), lambda: x)],
)
def test_a_function_that_takes_a_function_is_not_recorded(call):
    """What it calls would not be seen: no verdict would speak of the BatchNorm."""

    class Net(keras.Model):
        def __init__(self):
            super().__init__(name="net")
            self.norm = keras.layers.BatchNormalization()

        def call(self, x):
            return call(self.norm, x)

    model = Net()
    model(np.zeros((2, 4, 3), "float32"))
    with pytest.raises(UnsupportedModelError, match="cannot be traced"):
        fold(model)


def test_a_slice_that_ends_at_a_tensor_keeps_its_model_closed(keras_flavour, rng, tmp_path):
    """Keras 3 does not see the tensor inside the slice, so that the graph would lack it."""

    class Net(keras_flavour.keras.Model):
        def __init__(self):
            super().__init__(name="net")
            self.dense, self.norm = keras_flavour.keras.layers.Dense(4), keras_flavour.keras.layers.BatchNormalization()

        def call(self, x):
            x = self.norm(self.dense(x))
            return x[:, : tf.shape(x)[1] // 2]

    model = Net()
    model(np.zeros((2, 6, 3), "float32"))
    result = export_tflite(randomised(model, rng), tmp_path / "m.tflite")
    assert bool(result.unfolded) == (keras_flavour.name == "keras")
    assert verify(model, result.path, data=rng.normal(size=(4, 6, 3)).astype("float32"))
