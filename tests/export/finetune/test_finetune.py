"""`finetune`: with labels, with a teacher, and not at all where it does not help."""

import json

import numpy as np
import pytest
from kerasbn_testing.tuning import images, small

from kerasbn.errors import CalibrationError
from kerasbn_export import verify
from kerasbn_export.cli.main import run
from kerasbn_export.export.forms.search import judged_rows
from kerasbn_export.finetune import finetune as module
from kerasbn_export.finetune.finetune import finetune
from kerasbn_export.finetune.judge import classes
from kerasbn_export.finetune.records import NoBetterFileError, Worth
from kerasbn_export.quantization.aware import quantize_aware

pytestmark = pytest.mark.either_keras


@pytest.fixture
def files(keras_flavour, rng, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = small(keras_flavour, rng)
    model.save("m.keras")
    x = images(rng, 64)
    np.save("x.npy", x)
    np.save("y.npy", np.argmax(model.predict(x, verbose=0), -1))
    return model, x, np.load("y.npy")


def test_the_float_model_teaches(files):
    model, x, _ = files
    steps = []
    done = finetune(model, x, "m.tflite", epochs=2, force=True, on_step=steps.append)
    assert done.teacher
    assert (done.trained_on, done.held_out) == (48, 16)
    assert any("epoch 2 of 2, loss" in step for step in steps)
    assert "nan" not in "".join(steps)
    assert verify(model, "m.tflite", data=x[:8])


def test_labels_teach_and_judge(files):
    model, x, y = files
    done = finetune(model, x, "m.tflite", labels=y, epochs=1, force=True)
    assert not done.teacher
    assert done.float_accuracy == 1.0
    assert done.after.accuracy > 0.5
    assert "accuracy" in str(done)


def test_labels_of_every_form_judge_where_they_are_classes(files):
    model, _, y = files
    assert np.array_equal(classes(y, model.outputs), y)
    assert np.array_equal(classes(y[:, None], model.outputs), y)
    assert np.array_equal(classes(np.eye(4)[y], model.outputs), y)
    assert classes(np.full((len(y), 4), 0.25), model.outputs) is None
    assert classes(y + 0.5, model.outputs) is None
    assert classes(None, model.outputs) is None


def test_a_worse_file_is_not_written(files, monkeypatch, tmp_path):
    model, x, _ = files
    worths = iter([Worth(30.0), Worth(29.0)])
    monkeypatch.setattr(module, "judge", lambda *_: lambda _data: next(worths))
    with pytest.raises(NoBetterFileError, match=r"30.0 dB without, 29.0 dB with"):
        finetune(model, x, "m.tflite", epochs=1)
    assert not (tmp_path / "m.tflite").exists()


def test_worth_goes_by_accuracy_where_there_is_one():
    assert Worth(40.0, 0.8).is_worse_than(Worth(30.0, 0.9))
    assert not Worth(30.0, 0.9).is_worse_than(Worth(40.0, 0.9))
    assert Worth(30.0).is_worse_than(Worth(31.0, 0.9))
    assert not Worth(29.95).is_worse_than(Worth(30.0))
    assert Worth(float("nan")).is_worse_than(Worth(30.0))


@pytest.mark.parametrize("rate", [1e-9, 10.0])
def test_where_no_epoch_is_better_the_start_is_taken(files, monkeypatch, rate):
    model, x, _ = files
    seen = []
    monkeypatch.setattr(module, "build_tflite", lambda given, *_: seen.append(given) or Built())
    monkeypatch.setattr(module, "judge", lambda *_: lambda _data: Worth(30.0))
    finetune(model, x, "m.tflite", epochs=1, learning_rate=rate)
    tuned = seen[1]
    begun = quantize_aware(model, [x[~judged_rows(len(x))]], ranges="learned", distill=True)
    moved = [np.abs(a - b).max() for a, b in zip(tuned.get_weights(), begun.get_weights(), strict=True)]
    assert max(moved) < 1e-3


class Built:
    """What an export gives, as far as `finetune` looks."""

    data, result = b"", None


def test_it_is_compared_with_the_best_file_of_the_same_kind(files, monkeypatch):
    model, x, _ = files
    asked = []

    def build(_, __, options, *___):
        asked.append(options)
        return Built()

    monkeypatch.setattr(module, "build_tflite", build)
    monkeypatch.setattr(module, "judge", lambda *_: lambda _data: Worth(30.0))
    finetune(model, x, "m.tflite", epochs=1, weights="per-tensor", keep_float=["Dense"])
    assert (asked[0].best, asked[0].weights, asked[0].keep_float) == (True, "per-tensor", ["Dense"])


@pytest.mark.usefixtures("files")
def test_the_command(capsys, tmp_path):
    line = [
        "finetune",
        "m.keras",
        "--data",
        "x.npy",
        "--labels",
        "y.npy",
        "--distill",
        "--epochs",
        "1",
        "-o",
        "m.tflite",
    ]
    assert run([*line, "--force", "--json", "r.json"]) == 0
    out = capsys.readouterr().out
    assert "int8, not trained" in out
    assert "Taught by the float model" in out
    record = json.loads((tmp_path / "r.json").read_text())
    assert set(record["before"]) == {"sqnr_db", "accuracy"}
    assert run(["verify", "m.keras", "m.tflite", "--data", "x.npy"]) == 0


@pytest.mark.usefixtures("files")
def test_labels_have_to_fit(capsys):
    np.save("few.npy", np.zeros(3))
    assert run(["finetune", "m.keras", "--data", "x.npy", "--labels", "few.npy", "-o", "m.tflite"]) == 2
    assert "3 labels were given for 64 samples" in capsys.readouterr().err


def test_labels_are_numbers(files):
    model, x, _ = files
    with pytest.raises(CalibrationError, match="no numbers"):
        finetune(model, x, "m.tflite", labels=np.array(["a"] * 64))
