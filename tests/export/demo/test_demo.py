import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from kerasbn.errors import InvalidArgumentError, KerasBNError, OutputError
from kerasbn.flavour import NAMES
from kerasbn_export.benchmark.latency import Latency
from kerasbn_export.demo import requirements, run_demo
from kerasbn_export.demo.data import load_digits
from kerasbn_export.demo.differences import layer_differences
from kerasbn_export.demo.leftovers import in_file
from kerasbn_export.demo.picture import common_layers
from kerasbn_export.demo.scales import changed_scales, channel_scales
from kerasbn_export.demo.table import print_report
from kerasbn_export.demo.variant import Variant
from kerasbn_export.tflite.file import read_tflite

pytestmark = pytest.mark.either_keras("a short run")

FILES = {
    "demo.json", "demo.png", "images.npy", "digits.keras", "digits-folded.keras", "digits-float32.tflite",
    "digits-int8.tflite", "digits-stock-float32.tflite", "digits-stock-int8.tflite",
}  # fmt: skip
ROWS = ["Keras, trained", "Keras, folded", "float32, stock", "float32, kerasbn", "int8, stock", "int8, kerasbn"]


@pytest.fixture(scope="module", params=NAMES)
def demo(request, tmp_path_factory):
    """One short run of the demo per Keras."""
    out = tmp_path_factory.mktemp("demo") / "kerasbn-demo"
    screen, progress = io.StringIO(), io.StringIO()
    report = run_demo(
        out, request.param, epochs=2, console=Console(file=screen, width=80), progress=Console(file=progress)
    )
    return SimpleNamespace(
        keras=request.param, out=out, report=report, printed=screen.getvalue(), progress=progress.getvalue()
    )


def variant(demo, name):
    return next(row for row in demo.report.variants if row.name == name)


def test_everything_is_verified(demo):
    assert demo.report
    assert demo.report.keras == demo.keras
    assert [row.name for row in demo.report.variants] == ROWS
    assert [row.equal for row in demo.report.variants] == [None, True, True, True, True, True]


def test_numbers_make_sense(demo):
    trained = variant(demo, "Keras, trained")
    for row in demo.report.variants:
        assert row.accuracy > 0.7
        assert abs(row.accuracy - trained.accuracy) <= (0.0 if row.precision == "float32" else 0.05)
        assert row.difference < (2e-5 if row.precision == "float32" else 0.5)
        assert (row.difference > 0) == (row is not trained)
        assert row.bytes == (demo.out / row.path.name).stat().st_size
    assert variant(demo, "int8, kerasbn").sqnr_db > 15
    assert variant(demo, "int8, kerasbn").bytes < variant(demo, "float32, kerasbn").bytes


def test_batchnorms_left_follow_from_the_verdicts(demo):
    verdicts = demo.report.verdicts
    left = sum(not verdict.gone for verdict in verdicts)
    assert len(verdicts) == 7
    assert demo.report.gone == 7 - left >= 3
    assert variant(demo, "Keras, trained").batchnorms == 7
    for name in ("Keras, folded", "float32, kerasbn", "int8, kerasbn"):
        assert variant(demo, name).batchnorms == left
    assert variant(demo, "float32, stock").batchnorms >= 3


def test_latency_is_relative_to_the_stock_file_of_the_same_precision(demo):
    for precision in ("float32", "int8"):
        assert variant(demo, f"{precision}, stock").latency.ratio == 1.0
        assert variant(demo, f"{precision}, kerasbn").latency.ratio > 0
    assert variant(demo, "Keras, folded").latency is None


def test_table_shows_every_number_in_80_columns(demo):
    assert "…" not in demo.printed
    assert max(len(line) for line in demo.printed.splitlines() if str(demo.out) not in line) <= 80
    for row in demo.report.variants:
        (line,) = (line for line in demo.printed.splitlines() if line.startswith(row.name))
        assert f"{row.accuracy:.2%} " in line
        assert f" {row.batchnorms} " in line
        assert f" {row.ops} " in line
        assert f" {row.bytes:,} " in line
        assert (f" {row.difference:.1e} " in line) == (row.equal is not None)
        assert line.rstrip().endswith("equal") == bool(row.equal)
    assert f"{demo.report.gone} of 7 BatchNorms" in demo.printed
    assert str(demo.out) in demo.printed.replace("\n", "")


def test_every_batchnorm_that_is_left_is_explained(demo):
    shown = " ".join(demo.printed.split())
    for verdict in demo.report.verdicts:
        assert (verdict.layer in shown) == (not verdict.gone)
        assert verdict.sentence in shown


def test_progress_is_shown_apart_from_the_table(demo):
    for step in ("train for 2 epochs on 1437 images", "fold and verify", "export int8"):
        assert step in demo.progress
        assert step not in demo.printed


def test_files(demo):
    assert {path.name for path in demo.out.iterdir()} == FILES
    assert json.loads((demo.out / "demo.json").read_text()) == json.loads(demo.report.json_bytes())
    record = json.loads(demo.report.json_bytes())
    assert record["verified"] is True
    assert [row["name"] for row in record["variants"]] == ROWS
    assert len(record["verdicts"]) == 7
    assert str(demo.out.parent) not in (demo.out / "demo.json").read_text()


def test_picture_is_drawn(demo):
    from matplotlib.image import imread

    image = imread(demo.out / "demo.png")[..., :3]
    assert image.shape[0] > 800
    assert image.shape[1] > 1000
    assert len(np.unique(np.round(image * 255) @ [1, 256, 65536])) > 100
    layers = common_layers(demo.report.layers, demo.report.differences)
    assert len(layers) >= 5
    assert layers[-1] == "logits"
    assert set(demo.report.differences) == set(ROWS[1:])
    assert demo.report.scales.keys() >= {"conv", "depthwise", "dense"}


def test_saved_models_load(demo):
    from kerasbn_export.loading.load import load_model

    for name, row in (("digits.keras", "Keras, trained"), ("digits-folded.keras", "Keras, folded")):
        model = load_model(demo.out / name)
        digits = load_digits(seed=0)
        answers = np.asarray(model.predict(digits.test_images, verbose=0)).argmax(-1)
        assert np.mean(answers == digits.test_labels) == pytest.approx(variant(demo, row).accuracy)


def test_a_refused_file_makes_the_report_false_and_the_table_red(demo):
    *others, last = demo.report.variants
    refused = replace(demo.report, variants=(*others, replace(last, equal=False)))
    assert not refused
    screen = io.StringIO()
    print_report(refused, demo.out, Console(file=screen, width=80))
    assert "differs" in screen.getvalue()
    assert refused.to_json()["verified"] is False


def test_a_refused_stock_file_is_not_ours_to_fail(demo):
    variants = tuple(replace(row, equal=False) if "stock" in row.name else row for row in demo.report.variants)
    assert replace(demo.report, variants=variants)


def test_digits_are_split_by_class_and_seeded():
    digits, again, other = load_digits(3), load_digits(3), load_digits(4)
    assert digits.train_images.shape == (1437, 8, 8, 1)
    assert digits.test_images.shape == (360, 8, 8, 1)
    assert digits.train_images.dtype == np.float32
    assert (digits.train_images.min(), digits.train_images.max()) == (0.0, 1.0)
    assert np.bincount(digits.test_labels).min() >= 34
    np.testing.assert_array_equal(digits.test_images, again.test_images)
    assert not np.array_equal(digits.test_images, other.test_images)
    np.testing.assert_array_equal(digits.calibration(7), digits.train_images[:7])


def test_leftovers_are_found_in_a_file(keras_flavour, rng, tmp_path):
    import tensorflow as tf

    layers = keras_flavour.keras.layers
    image = keras_flavour.keras.Input((6, 6, 2))
    x = layers.BatchNormalization(name="folds")(layers.Conv2D(4, 3, name="conv")(image))
    x = layers.BatchNormalization(name="stays")(layers.ReLU(name="relu")(x))
    model = keras_flavour.keras.Model(image, layers.MaxPooling2D(2, name="pool")(x))
    model.set_weights([rng.uniform(0.5, 2.0, weight.shape) for weight in model.get_weights()])
    path = tmp_path / "m.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    names = [layer.name for layer in model.layers]
    assert in_file(read_tflite(path), ("folds", "stays"), names) == {"stays"}
    assert in_file(read_tflite(path), ("folds",), names) == set()


def comparison(layers, *, equal=True, tolerance=2e-5, end=1e-7):
    """What `layer_differences` reads of a Comparison: each layer with its cumulative error."""

    class Found(SimpleNamespace):
        def __bool__(self):
            return equal

    end = SimpleNamespace(
        name="logits", gate=SimpleNamespace(tolerance=tolerance), measurement=SimpleNamespace(relative=end)
    )
    records = [SimpleNamespace(position=name, cumulative_error=error) for name, error in layers.items()]
    return Found(per_layer=records, outputs=[end])


def forms(ours):
    """A float32 and an int8 form of the network by one maker."""
    latency = Latency(Path("m.tflite"), 1.0, 1.0, (1.0, 1.0))
    return [Variant(p, Path("m.tflite"), p, ours, 1.0, 0, 9, latency) for p in ("float32", "int8")]


def test_rescaled_layers_have_no_difference():
    float32, int8 = forms(ours=True)
    found = layer_differences(
        {
            float32: comparison({"conv": 1e-6, "concat": 0.5}),
            int8: comparison({"conv": 0.02, "concat": 0.4}, tolerance=None, end=0.1),
        }
    )
    assert found == {"float32": {"conv": 1e-6, "logits": 1e-7}, "int8": {"conv": 0.02, "logits": 0.1}}


def test_a_form_that_is_wrong_shows_every_layer():
    (float32, _) = forms(ours=True)
    found = layer_differences({float32: comparison({"conv": 1e-6, "concat": 0.5}, equal=False, end=0.3)})
    assert found == {"float32": {"conv": 1e-6, "concat": 0.5, "logits": 0.3}}


def test_channel_scales():
    kernel = np.zeros((3, 3, 2, 4), "float32")
    kernel[0, 1, 1, 2] = -5.0
    kernel[2, 2, 0, 3] = 2.0
    np.testing.assert_array_equal(channel_scales(kernel, depthwise=False), [0, 0, 5, 2])
    np.testing.assert_array_equal(channel_scales(kernel, depthwise=True), [0, 0, 0, 2, 0, 0, 5, 0])


def test_unchanged_layers_have_no_changed_scales(keras_flavour):
    from kerasbn_models import digits_cnn

    model = digits_cnn(keras_flavour.name, filters=2)
    assert changed_scales(model, model) == {}


@pytest.mark.parametrize("missing", [["sklearn"], ["matplotlib"], ["sklearn", "matplotlib"]])
def test_missing_packages_are_named(monkeypatch, tmp_path, missing):
    monkeypatch.setattr(requirements, "find_spec", lambda name: None if name in missing else object())
    with pytest.raises(KerasBNError) as caught:
        run_demo(tmp_path / "out")
    message = str(caught.value)
    assert isinstance(caught.value, ImportError)
    assert "python -m pip install 'kerasbn[demo]'" in message
    assert ("scikit-learn" in message) == ("sklearn" in missing)
    assert message.count("matplotlib") == missing.count("matplotlib")
    assert not (tmp_path / "out").exists()


def test_missing_parent_folder(tmp_path):
    with pytest.raises(OutputError, match="its parent must exist"):
        run_demo(tmp_path / "no" / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        run_demo(tmp_path / "file")


def test_unknown_keras(tmp_path):
    with pytest.raises(InvalidArgumentError, match="'torch' is not known; accepted: keras, tf_keras"):
        run_demo(tmp_path / "out", "torch")
    assert not (tmp_path / "out").exists()
