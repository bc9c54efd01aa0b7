"""Other runtimes than LiteRT's interpreter judge the same file alike, and say what they need if they are not there."""

import numpy as np
import pytest
import tensorflow as tf

from kerasbn.errors import InvalidArgumentError, ModelFileError
from kerasbn_export.verification import verify
from kerasbn_export.verification.faults.file import File
from kerasbn_export.verification.sides import runtimes as module
from kerasbn_export.verification.sides.runtimes import PACKAGES, RUNTIMES, open_file

pytestmark = pytest.mark.either_keras

NEEDS = {"compiled": "ai_edge_litert", "micro": "tflite_micro", "openvino": "openvino"}


@pytest.fixture
def model(keras_flavour, rng):
    keras = keras_flavour.keras
    x = keras.Input((6, 6, 3), name="x")
    y = keras.layers.ReLU(name="relu")(keras.layers.Conv2D(5, 3, name="conv")(x))
    y = keras.layers.GlobalAveragePooling2D(name="mean")(y)
    z = keras.layers.Dense(3, name="left")(y), keras.layers.Dense(4, activation="softmax", name="right")(y)
    model = keras.Model(x, z)
    model.set_weights([rng.normal(size=array.shape) for array in model.get_weights()])
    return model


@pytest.fixture
def content(model):
    return tf.lite.TFLiteConverter.from_keras_model(model).convert()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_runtime_agrees_on_a_right_file_and_not_on_a_wrong_one(model, content, runtime, tmp_path):
    pytest.importorskip(NEEDS[runtime], reason=f"pip install {PACKAGES[runtime]}")
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    report = verify(model, path, backend=runtime, samples=3)
    assert report, report.verdict
    assert report.candidate == f"m.tflite on {runtime}"
    assert 0 < report.required_tolerance < 5e-6
    assert {output.stage for output in report.outputs} == {"output", "before activation"}
    file = File(content)
    bias = next(node for node in file.nodes if node.kind == "CONV_2D").bias
    file.model.buffers[bias.buffer].data = np.frombuffer(np.ones(5, np.float32).tobytes(), np.uint8)
    path.write_bytes(file.content())
    report = verify(model, path, backend=runtime, samples=3)
    assert report.exit_code == 1
    assert report.first_divergence.layer == "conv"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtime_that_is_not_there_names_the_command(content, runtime, monkeypatch):
    def missing(name, *_):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(module, "import_module", missing)
    with pytest.raises(InvalidArgumentError, match=f"backend='{runtime}' needs .*: pip install {PACKAGES[runtime]}"):
        open_file(content, "m.tflite", runtime)


def test_what_a_runtime_does_not_take_is_a_files_fault(content, monkeypatch):
    def refuse(*_):
        raise RuntimeError("no such operation")

    monkeypatch.setitem(RUNTIMES, "micro", refuse)
    with pytest.raises(ModelFileError, match=r"m\.tflite on micro: it does not take the file: no such operation"):
        open_file(content, "m.tflite", "micro")


def test_a_runtime_writes_nothing_about_itself(content, capfd):
    open_file(content, "m.tflite", "compiled")
    assert capfd.readouterr().err == ""
