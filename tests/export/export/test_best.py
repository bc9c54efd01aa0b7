"""The most accurate of several forms is taken, by what is measured on samples that measured no range."""

import numpy as np
import pytest

from kerasbn.errors import CalibrationError, InvalidArgumentError
from kerasbn_export import export_tflite, verify
from kerasbn_export.calibration.ranges.methods import METHODS
from kerasbn_export.calibration.samples import Calibration
from kerasbn_export.conversion.provenance import read_provenance
from kerasbn_export.export.forms import bias_correction
from kerasbn_export.export.forms.choose import RENEWED, STOCK, UNDONE
from kerasbn_export.export.forms.search import MARGIN, Search, held_out
from kerasbn_export.export.options import ExportOptions
from kerasbn_export.export.scoring import scorer
from kerasbn_export.tflite.file import read_tflite

pytestmark = pytest.mark.either_keras


def search(scores):
    """A search whose forms are names and whose files are their bytes."""
    made = Search(convert=str.encode, score=lambda data: scores[data.decode()], form="plain")
    made.begin()
    return made


def test_a_form_is_taken_only_if_it_gains():
    found = search({"plain": 20.0, "worse": 19.0, "hardly": 20.0 + MARGIN / 2, "better": 25.0, "not as good": 24.0})
    for form in ("worse", "hardly", "better", "not as good"):
        found.attempt(form, form)
    assert (found.form, found.data, found.best.sqnr_db) == ("better", b"better", 25.0)
    assert [(trial.form, trial.taken) for trial in found.trials] == [
        ("as folded", True),
        ("worse", False),
        ("hardly", False),
        ("better", True),
        ("not as good", False),
    ]
    assert str(found.trials[3]) == "better 25.0 dB, taken"


def test_no_sample_both_measures_and_judges():
    samples = Calibration((np.arange(10), np.arange(10) * 2), "array")
    measured, judged = held_out(samples)
    assert judged.arrays[0].tolist() == [3, 7]
    assert sorted([*measured.arrays[0], *judged.arrays[0]]) == list(range(10))
    np.testing.assert_array_equal(measured.arrays[1], measured.arrays[0] * 2)
    with pytest.raises(CalibrationError, match="needs at least 8; found 7"):
        held_out(Calibration((np.arange(7),), "array"))


@pytest.mark.parametrize("options", [{}, {"precision": "float16"}, {"precision": "int8", "fold": False}])
def test_best_goes_with_a_folded_and_calibrated_file(options):
    if options.get("precision") == "int8":
        options = {**options, "calibration": "random"}
    with pytest.raises(InvalidArgumentError, match="best=True chooses among the folded forms"):
        ExportOptions(best=True, **options)


def branching(flavour, rng):
    """Parallel branches that fold into one kernel, an average that a BatchNorm passes, and a background of zeros."""
    layers, norm = flavour.keras.layers, flavour.batch_normalization
    image = flavour.keras.Input((8, 8, 3), name="image")
    wide, narrow = layers.Conv2D(8, 3, padding="same")(image), layers.Conv2D(8, 1)(image)
    x = layers.ReLU()(layers.Add()([norm()(wide), norm()(narrow)]))
    x = layers.ReLU()(norm()(layers.AveragePooling2D(2)(layers.Conv2D(6, 3)(x))))
    model = flavour.keras.Model(image, layers.Dense(5, name="dense")(layers.GlobalAveragePooling2D()(x)))
    model.get_layer("dense").bias.assign(rng.normal(size=5))  # a bias of zeros is none in the file
    for layer in model.layers:
        if "BatchNormalization" in type(layer).__name__:
            size = int(layer.gamma.shape[0])
            variance = 10.0 ** rng.uniform(-1, 1, size)
            layer.set_weights([rng.normal(size=size), rng.normal(size=size), rng.normal(size=size), variance])
    return model


def pictures(rng, count):
    x = rng.uniform(size=(count, 8, 8, 3)).astype("float32")
    x[:, :, :4] = 0
    return x


def test_every_form_is_tried_reported_and_the_best_one_written(keras_flavour, rng, tmp_path):
    model, data = branching(keras_flavour, rng), pictures(rng, 40)
    result = export_tflite(model, tmp_path / "best.tflite", precision="int8", calibration=data, best=True)
    tried = {trial.form: trial for trial in result.trials}
    ranges = [f"ranges by {method}" for method in METHODS]
    assert list(tried) == ["as folded", *UNDONE, STOCK, "equalized", *ranges, "bias corrected", RENEWED]
    assert result.calibration == "30 samples from array"
    taken = max(trial.sqnr_db for trial in result.trials if trial.taken)
    assert taken >= tried["as folded"].sqnr_db
    assert taken >= max(trial.sqnr_db for trial in result.trials) - MARGIN
    score = scorer(model, held_out(Calibration((data,), "array"))[1])
    assert score(result.path.read_bytes()) == pytest.approx(taken, abs=1e-6)
    stored = read_provenance(read_tflite(result.path))
    assert [trial["form"] for trial in stored["trials"]] == list(tried)
    assert result.to_json()["trials"][0]["taken"] is True


@pytest.fixture
def files(keras_flavour, rng, tmp_path):
    """The float and the int8 file of a model, with the samples."""
    model, data = branching(keras_flavour, rng), pictures(rng, 40)
    exact = export_tflite(model, tmp_path / "float.tflite").path.read_bytes()
    rounded = export_tflite(model, tmp_path / "int8.tflite", precision="int8", calibration=data).path.read_bytes()
    return model, exact, rounded, Calibration((data,), "array")


def shifted(data, steps):
    """The file with every int32 bias moved by some of its steps."""
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model_from_bytearray(data)
    for op in bias_correction._biased(model):
        buffer = model.buffers[model.subgraphs[0].tensors[op.bias].buffer]
        buffer.data = (np.frombuffer(bytes(buffer.data), np.int32) + steps).astype(np.int32).view(np.uint8)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def test_bias_correction_takes_out_what_moves_the_mean(files):
    """A file whose biases were damaged is as good as it was, and nothing but biases changes."""
    model, exact, rounded, samples = files
    score = scorer(model, samples)
    damaged = shifted(rounded, 400)
    assert score(damaged) < score(rounded) - 3
    repaired = bias_correction.corrected(damaged, exact, samples)
    assert repaired.ops == 3
    assert score(repaired.data) > score(rounded) - 0.5
    before, after = read_tflite(rounded), read_tflite(repaired.data)
    assert [op.name for op in after.ops] == [op.name for op in before.ops]
    assert abs(after.size - before.size) < 64


def test_bias_correction_by_another_file_does_not_help(files):
    """The check above sees a correction that is wrong."""
    model, exact, rounded, samples = files
    away = bias_correction.corrected(rounded, shifted(rounded, -400), samples)
    score = scorer(model, samples)
    assert score(away.data) < score(bias_correction.corrected(rounded, exact, samples).data)


def test_the_file_is_judged_by_its_outputs_where_its_weights_were_moved_on_purpose(keras_flavour, rng, tmp_path):
    model, data = branching(keras_flavour, rng), pictures(rng, 40)
    result = export_tflite(model, tmp_path / "best.tflite", precision="int8", calibration=data, best=True)
    assert {"equalized", "bias corrected", RENEWED} & {trial.form for trial in result.trials if trial.taken}
    report = verify(model, result.path, data=data)
    assert report, report.verdict
    assert any("layers not compared" in note for note in report.notes)
    model.get_layer("dense").bias.assign(rng.normal(size=5) * 9)
    assert not verify(model, result.path, data=data)
