"""The form that is best by the user's own metric, and the samples that say so."""

import numpy as np
import pytest

from kerasbn.errors import InvalidArgumentError
from kerasbn_export import export_tflite
from kerasbn_export.cli.main import run
from kerasbn_export.conversion.provenance import read_provenance
from kerasbn_export.conversion.trial import Trial
from kerasbn_export.export.forms.search import MARGIN, Search
from kerasbn_export.export.options import ExportOptions
from kerasbn_export.tflite.file import read_tflite

pytestmark = pytest.mark.either_keras

BOTH = {
    "plain": (20.0, 1.0),
    "noisier and right": (12.0, 0.5),
    "cleaner and wrong": (40.0, 0.75),
    "as right, hardly cleaner": (12.0 + MARGIN / 2, 0.5),
    "as right and cleaner": (13.0, 0.5),
    "no number": (50.0, float("nan")),
}
"""Forms with their SQNR and their drop."""


def search(numbers):
    """A search whose forms are names and whose files are their bytes."""
    found = Search(
        convert=str.encode,
        score=lambda data: numbers[data.decode()][0],
        form="plain",
        drop=lambda data: numbers[data.decode()][1],
    )
    found.begin()
    for form in list(numbers)[1:]:
        found.attempt(form, form)
    return found


def test_the_metric_chooses_and_the_sqnr_where_that_is_equal():
    found = search(BOTH)
    assert [trial.form for trial in found.trials if trial.taken] == [
        "as folded",
        "noisier and right",
        "as right and cleaner",
    ]
    assert str(found.best) == "as right and cleaner 13.0 dB, drop 0.50, taken"


def test_a_metric_that_is_no_number_is_the_worst():
    assert search({"plain": (20.0, float("nan")), "a number": (5.0, 9.0)}).form == "a number"
    assert search({"plain": (20.0, float("nan")), "none either": (30.0, float("nan"))}).form == "none either"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"best": "metric"}, "best='metric' needs metric and validation"),
        ({"best": "accuracy"}, "best='accuracy' is not known; accepted: True, False, None, 'metric'"),
    ],
)
def test_what_is_missing_is_said(options, said):
    with pytest.raises(InvalidArgumentError, match=said):
        ExportOptions(precision="int8", calibration="random", **options)


def network(flavour, rng):
    layers, norm = flavour.keras.layers, flavour.batch_normalization
    x = image = flavour.keras.Input((6, 6, 3))
    for filters in (6, 8):
        x = layers.Conv2D(filters, 3, padding="same")(x)
        x = layers.ReLU()(norm()(x))
    model = flavour.keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))
    for layer in model.layers:
        if "BatchNormalization" in type(layer).__name__:
            size = int(layer.gamma.shape[0])
            layer.set_weights(
                [rng.normal(size=size), rng.normal(size=size), rng.normal(size=size), rng.uniform(size=size)]
            )
    return model


def nearest(labels, outputs):
    """An error that has no ties: the distance from the labels."""
    return float(np.abs(labels - outputs).mean())


nearest.less_is_better = True


@pytest.fixture
def made(keras_flavour, rng):
    model = network(keras_flavour, rng)
    x, calibration = (rng.uniform(size=(count, 6, 6, 3)).astype("float32") for count in (40, 24))
    return model, x, model.predict(x, verbose=0), calibration


def test_forms_are_chosen_by_one_half_and_reported_by_the_other(made, tmp_path):
    model, x, labels, calibration = made
    told = labels.copy()
    told[1::2] += 100  # what is reported on; nothing of it may reach the choice
    path, options = tmp_path / "m.tflite", {"precision": "int8", "calibration": calibration, "metric": nearest}
    result = export_tflite(model, path, best="metric", validation=(x, told), **options)
    assert result.metric.samples == 20
    assert result.metric.scored[0].value == pytest.approx(100, abs=1e-3)
    drops = [trial.drop for trial in result.trials]
    assert all(0 <= drop < 1 for drop in drops)
    taken = [trial for trial in result.trials if trial.taken]
    assert taken[-1].drop == min(drops)
    assert [trial.drop for trial in taken] == sorted((trial.drop for trial in taken), reverse=True)
    assert [Trial(**trial) for trial in read_provenance(read_tflite(path))["trials"]] == list(result.trials)


def test_without_it_the_metric_chooses_nothing_and_all_samples_are_reported(made, tmp_path):
    model, x, labels, calibration = made
    options = {"precision": "int8", "calibration": calibration, "metric": nearest}
    result = export_tflite(model, tmp_path / "m.tflite", best=True, validation=(x, labels), **options)
    assert result.metric.samples == 40
    assert {trial.drop for trial in result.trials} == {None}


def test_too_few_samples_or_labels_are_refused(made, tmp_path):
    model, x, labels, calibration = made
    options = {"precision": "int8", "calibration": calibration, "metric": nearest, "best": "metric"}
    with pytest.raises(InvalidArgumentError, match="found 15, accepted: at least 16"):
        export_tflite(model, tmp_path / "m.tflite", validation=(x[:15], labels[:15]), **options)
    with pytest.raises(InvalidArgumentError, match="39 labels for 40 samples"):
        export_tflite(model, tmp_path / "m.tflite", validation=(x, labels[:39]), **options)
    assert not list(tmp_path.iterdir())


def test_the_command_line(made, tmp_path, capsys, monkeypatch):
    model, x, labels, calibration = made
    monkeypatch.chdir(tmp_path)
    model.save("m.keras")
    for name, values in (("x", x), ("y", labels.argmax(-1)), ("c", calibration)):
        np.save(f"{name}.npy", values)
    about = ["--precision", "int8", "--calibration", "c.npy", "--no-verify"]
    about += ["--validation", "x.npy", "--labels", "y.npy", "--metric", "accuracy"]
    assert run(["export", "m.keras", "-o", "m.tflite", "--best-by", "metric", *about]) == 0
    said = capsys.readouterr().out
    assert all(words in said for words in ("as folded", "drop ", "on 20 samples"))
    assert run(["export", "m.keras", "-o", "n.tflite", "--best-by", "metric", "--no-best", *about]) == 2
    assert "leave --no-best out" in capsys.readouterr().err
