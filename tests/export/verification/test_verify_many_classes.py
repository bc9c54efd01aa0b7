"""A quantized classifier of many classes: its probabilities are finer than int8 has numbers for, its scores are not."""

import numpy as np
import pytest

from kerasbn_export import export_tflite, verify
from kerasbn_export.verification.faults.file import File

CLASSES = 500


@pytest.fixture(params=["softmax", "sigmoid"])
def case(request, keras_flavour, rng):
    """A model with a fresh head, and samples."""
    layers = keras_flavour.keras.layers
    x = keras_flavour.keras.Input((6, 6, 3))
    y = layers.GlobalAveragePooling2D()(layers.Conv2D(16, 3, activation="relu")(x))
    bias = layers.Dense(CLASSES, activation=request.param, name="head")
    model = keras_flavour.keras.Model(x, bias(y))
    kernel, offset = bias.get_weights()
    bias.set_weights([kernel, offset - (7.0 if request.param == "sigmoid" else 0.0)])
    return model, rng.normal(size=(64, 6, 6, 3)).astype("float32") + rng.normal(size=(64, 1, 1, 3)).astype("float32")


@pytest.fixture
def exported(case, tmp_path):
    model, data = case
    return export_tflite(model, tmp_path / "m.tflite", precision="int8", calibration=data, io_dtype="float32").path


@pytest.mark.either_keras
def test_small_probabilities_are_judged_by_the_scores(case, exported):
    model, data = case
    report = verify(model, exported, data=data[:8])
    assert report, report.verdict
    output, scores = report.outputs
    assert output.measurement.sqnr_db < 15 < scores.measurement.sqnr_db
    assert "has no number of its own" in output.reason
    assert "leave the last activation off" in output.reason
    head = {layer.layer: layer for layer in report.per_layer if layer.layer.startswith("head")}
    assert all(layer.rounding < 1 for layer in head.values())
    assert len(head) == 2


@pytest.mark.either_keras
def test_wrong_scores_are_wrong_behind_it(case, exported):
    """All probabilities are still about 0."""
    model, data = case
    file = File(exported.read_bytes())
    node = [node for node in file.nodes if node.kind == "FULLY_CONNECTED"][-1]
    file.store(node.kernel, np.roll(file.stored(node.kernel), 1, axis=0))
    exported.write_bytes(file.content())
    report = verify(model, exported, data=data[:8])
    assert report.exit_code == 1
    assert report.first_divergence.layer == "head", report.verdict
