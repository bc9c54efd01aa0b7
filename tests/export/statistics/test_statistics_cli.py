"""``kerasbn check`` and ``kerasbn recalibrate``: files, exit codes, and the line of an export."""

import json

import numpy as np
import pytest
from kerasbn_testing.command import heavy_imports

from kerasbn import recalibrate
from kerasbn_export.cli.main import run
from kerasbn_export.loading.load import load_model
from kerasbn_export.statistics.training_steps import training_steps

pytestmark = pytest.mark.either_keras


@pytest.fixture
def folder(keras_flavour, rng, tmp_path, monkeypatch):
    """A good model, one whose statistics are off, data and labels."""
    monkeypatch.chdir(tmp_path)
    layers = keras_flavour.keras.layers
    model = keras_flavour.keras.Sequential(
        [layers.Input((6, 6, 3)), layers.Conv2D(8, 3), layers.BatchNormalization(name="bn"), layers.ReLU(),
         layers.Flatten(), layers.Dense(5)]
    )  # fmt: skip
    x = (rng.normal(size=(200, 6, 6, 3)) + 1).astype("float32")
    recalibrate(model, x)
    np.save("x.npy", x)
    np.save("y.npy", np.argmax(model.predict(x, verbose=0), -1))
    model.save("good.keras")
    bn = model.get_layer("bn")
    bn.moving_mean.assign(bn.moving_mean + 9.0)
    model.save("bad.keras")
    return tmp_path


def test_check_says_fit_and_not_fit(folder, capsys):
    assert run(["check", "good.keras"]) == 0
    assert capsys.readouterr().out == "Fit: 1 BatchNorm, without data.\n"
    assert run(["check", "good.keras", "--data", "x.npy", "--labels", "y.npy"]) == 0
    line = ["check", "bad.keras", "--data", "x.npy", "--labels", "y.npy", "--json", "o.json", "--html", "o.html"]
    assert run(line) == 1
    out = capsys.readouterr().out
    assert "shifted-mean" in out
    assert out.splitlines()[-1].startswith("Not fit: 1 BatchNorm on 200 samples")
    record = json.loads((folder / "o.json").read_text())
    assert not record["fit"]
    assert {"bn", ""} == {finding["layer"] for finding in record["findings"]}
    page = (folder / "o.html").read_text()
    assert "shifted-mean" in page
    assert page.count("<svg") == 2
    assert "http" not in page.replace("http://www.w3.org", "")


@pytest.mark.usefixtures("folder")
def test_json_on_standard_output(capsys):
    assert run(["check", "bad.keras", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["fit"]


@pytest.mark.usefixtures("folder")
def test_what_cannot_be_told_is_exit_code_2(capsys):
    np.save("few.npy", np.load("x.npy")[:9])
    assert run(["check", "good.keras", "--data", "few.npy"]) == 2
    for wrong in (["--labels", "y.npy"], ["--data", "x.npy", "--images", "."], ["--data", "no.npy"]):
        assert run(["check", "good.keras", *wrong]) == 2
    assert run(["check", "x.npy"]) == 2
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 4
    assert all(line.startswith("error: ") for line in err)


def test_check_takes_a_folder_of_images(folder, keras_flavour, rng, capsys):
    images = folder / "images"
    images.mkdir()
    for index in range(40):
        keras_flavour.keras.utils.save_img(str(images / f"{index}.png"), rng.integers(0, 255, (6, 6, 3)), scale=False)
    assert run(["check", "good.keras", "--images", "images"]) == 2
    assert "--image-range" in capsys.readouterr().err
    assert run(["check", "good.keras", "--images", "images", "--image-range", "0", "255"]) == 1
    assert "bn" in capsys.readouterr().out


def test_recalibrate_writes_another_model(folder, capsys):
    before = (folder / "bad.keras").read_bytes()
    assert run(["recalibrate", "bad.keras", "--data", "x.npy", "--labels", "y.npy", "-o", "new.keras"]) == 0
    assert "better" in capsys.readouterr().out
    assert (folder / "bad.keras").read_bytes() == before
    good, new = load_model("good.keras"), load_model("new.keras")
    for one, other in zip(good.get_weights(), new.get_weights(), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-7)
    assert run(["check", "new.keras", "--data", "x.npy"]) == 0


def test_a_worse_model_is_not_written(folder, capsys):
    np.save("other.npy", np.load("x.npy") * -40)
    line = ["recalibrate", "good.keras", "--data", "other.npy", "--labels", "y.npy", "-o", "new.keras"]
    model = load_model("good.keras")
    np.save("y.npy", np.argmax(model.predict(np.load("other.npy"), verbose=0), -1))
    assert run(line) == 1
    assert "--force" in capsys.readouterr().err
    assert not (folder / "new.keras").exists()
    assert run([*line, "--force", "--mode", "batch", "--prior", "10", "--exact"]) == 0
    assert (folder / "new.keras").exists()


@pytest.mark.parametrize("out", ["bad.keras", "x.npy", "new.tflite", "missing/new.keras"])
def test_no_file_of_the_users_is_lost(folder, out, capsys):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert run(["recalibrate", "bad.keras", "--data", "x.npy", "-o", out]) == 3
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.usefixtures("folder")
def test_an_export_says_what_check_says(capsys):
    assert run(["export", "good.keras", "-o", "good.tflite"]) == 0
    assert "Statistics: fit." in capsys.readouterr().out.splitlines()
    model = load_model("good.keras")
    bn = model.get_layer("bn")
    bn.moving_mean.assign(bn.moving_mean * 0)
    bn.moving_variance.assign(bn.moving_variance * 0 + 1)
    model.save("new.keras")
    assert run(["export", "new.keras", "-o", "new.tflite"]) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Statistics: ")]
    assert len(said) == 1
    assert "never-updated in bn" in said[0]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_the_counter_in_a_file(keras_flavour, tmp_path, suffix, capsys):
    layers = keras_flavour.keras.layers
    model = keras_flavour.keras.Sequential([layers.Input((4,)), layers.BatchNormalization(), layers.Dense(2)])
    path = str(tmp_path / f"m{suffix}")
    model.save(path)
    assert training_steps(path) is None
    model.compile("adam", "mse")
    model.fit(np.ones((24, 4)), np.ones((24, 2)), batch_size=8, epochs=2, verbose=0)
    model.save(path)
    assert training_steps(path) == 6
    assert run(["check", path]) == 1
    assert "not-converged" in capsys.readouterr().out


def test_no_counter_in_what_is_no_model(tmp_path):
    (tmp_path / "m.keras").write_bytes(b"PK\x03\x04 nothing")
    (tmp_path / "m.h5").write_bytes(b"nothing")
    assert training_steps(tmp_path / "m.keras") is None
    assert training_steps(tmp_path / "m.h5") is None
    assert training_steps(tmp_path) is None


@pytest.mark.parametrize("command", ["check", "recalibrate"])
def test_help_imports_nothing_heavy(command):
    code, heavy, _ = heavy_imports(command, "--help")
    assert (code, heavy) == (0, [])
