"""Trained models of others: the autoencoder whose conversion script dropped a bias, and a correct one."""

import os
from pathlib import Path

import pytest
import tensorflow as tf

from kerasbn_export.loading.load import load_model
from kerasbn_export.tflite.interpreter import BACKENDS
from kerasbn_export.verification import verify

CORPUS = os.environ.get("KERASBN_CORPUS")
pytestmark = pytest.mark.skipif(
    not CORPUS,
    reason="set KERASBN_CORPUS to a folder with ad01.h5 and ad01_fp32.tflite (github.com/mlcommons/tiny, 1afd2c9, "
    "benchmark/training/anomaly_detection/trained_models) and resnet8.h5 (there: "
    "benchmark/training/image_classification/trained_models/pretrainedResnet.h5)",
)


def corpus(name):
    return Path(CORPUS) / name


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_file_that_lost_its_dense_biases(backend):
    report = verify(corpus("ad01.h5"), corpus("ad01_fp32.tflite"), backend=backend)
    assert report.exit_code == 1
    assert 0.01 < report.required_tolerance < 0.1
    assert report.outputs[0].measurement.cosine > 0.999, "what a cosine would have let pass"
    assert report.outputs[0].referee.inaccurate == "candidate"
    assert report.first_divergence.layer == "dense_1"
    wrong = {weight.layer: weight for weight in report.weights if not weight.passed}
    assert sorted(wrong) == [f"dense_{i}" for i in range(1, 9)]
    assert {weight.weight for weight in wrong.values()} == {"bias"}
    assert {weight.diagnosis for weight in wrong.values()} == {"The layer's own bias is forgotten: b' = t."}
    assert wrong["dense_5"].max_difference == pytest.approx(0.615, abs=5e-4)


@pytest.mark.parametrize("name", ["ad01.h5", "resnet8.h5"])
def test_the_stock_conversion_of_the_same_models_is_equal(tmp_path, name):
    content = tf.lite.TFLiteConverter.from_keras_model(load_model(corpus(name))).convert()
    (tmp_path / "stock.tflite").write_bytes(content)
    for backend in BACKENDS:
        report = verify(corpus(name), tmp_path / "stock.tflite", backend=backend)
        assert report, report.verdict
        assert report.required_tolerance < 5e-6
