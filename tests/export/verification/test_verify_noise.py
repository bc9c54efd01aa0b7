"""Networks that make much of their own rounding: correct files of them are right, wrong ones are not."""

import numpy as np
import pytest
import tensorflow as tf

from kerasbn_export import verify
from kerasbn_export.verification.outputs.judge import CHANCE, Judgement, judge_referee
from kerasbn_export.verification.records.outputs import RefereeFinding, Status

pytestmark = pytest.mark.either_keras

FAR = 3000.0
"""Where a signal of size 1 is moved to and back, which leaves it no more than three digits."""


def gated(flavour, rng):
    """A signal that was far from 0, times a hard sigmoid, of which converters move the 1 / 6 into the next kernel."""
    layers = flavour.keras.layers
    image = flavour.keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(6, 3, name="first")(image)
    x = layers.Rescaling(1.0, offset=FAR, name="away")(x)
    x = layers.Rescaling(1.0, offset=-FAR, name="back")(layers.ReLU(name="relu")(x))
    gate = layers.Conv2D(6, 1, name="squeeze")(layers.GlobalAveragePooling2D(keepdims=True, name="mean")(x))
    gate = layers.ReLU(6.0, name="clip")(gate + 3.0) * (1 / 6)
    x = layers.Conv2D(5, 3, name="project")(layers.Multiply(name="times")([x, gate]))
    model = flavour.keras.Model(image, layers.Flatten(name="flat")(x))
    model.set_weights([rng.normal(0, 0.4, weight.shape) for weight in model.get_weights()])
    return model


def stock_file(model, path):
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    return path


@pytest.fixture
def pair(keras_flavour, rng, tmp_path):
    model = gated(keras_flavour, rng)
    return model, lambda: stock_file(model, tmp_path / "model.tflite")


@pytest.mark.parametrize("backend", ["reference", "builtin"])
def test_a_correct_file_is_equal(pair, backend, monkeypatch):
    """Where layers of any class are not followed, what was fused into one before them counts as moved."""
    monkeypatch.setattr("kerasbn_export.verification.layers.steps.DEPTH", 0)
    model, convert = pair
    report = verify(model, convert(), backend=backend)
    assert report, report.verdict
    assert max(layer.cumulative_error for layer in report.per_layer if layer.passed) > 2e-5, "no noise: nothing tested"
    assert any(layer.moved for layer in report.per_layer), "nothing was moved: nothing tested"


def test_a_wrong_file_of_it_differs(pair):
    model, convert = pair
    right = model.get_weights()
    model.get_layer("project").set_weights([right[-2] * np.array([1, 1, 1.05, 1, 1], "float32"), right[-1]])
    path = convert()
    model.set_weights(right)
    report = verify(model, path)
    assert report.exit_code == 1
    assert report.first_divergence.layer == "project"


@pytest.mark.parametrize(("candidate", "status"), [
    (1e-6, Status.EQUAL), (4e-5, Status.EQUAL), (4e-5 * CHANCE, Status.EQUAL), (4.01e-5 * CHANCE, Status.DIFFERS),
])  # fmt: skip
def test_what_the_referee_lets_pass(candidate, status):
    """Two roundings of one function lie at different distances from it by chance; half as far again is no more."""
    first = Judgement(Status.DIFFERS, "max|difference| is 1e-4.")
    answer = judge_referee(first, 2e-5, RefereeFinding(reference_error=4e-5, candidate_error=candidate))
    assert answer.status is status
