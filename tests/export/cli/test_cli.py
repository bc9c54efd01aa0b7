"""The commands do what they say, write what they mean to standard output, and exit with the right code."""

import json

import numpy as np
import pytest
from kerasbn_testing.command import heavy_imports, run_process
from kerasbn_testing.statistics import randomise

import kerasbn
from kerasbn.flavour import Flavour
from kerasbn_export.cli.dispatch import COMMANDS
from kerasbn_export.cli.main import run
from kerasbn_export.loading.load import load_model
from kerasbn_export.tflite.file import read_tflite


def save(model, path):
    model.save(path)
    return str(path)


def small_model(flavour, rng, *, training=False):
    """Conv, BatchNorm, ReLU, Dense, with one channel of gamma 0 and one that turns the sign."""
    layers = flavour.keras.layers
    image = flavour.keras.Input((6, 6, 3), name="image")
    x = layers.Conv2D(4, 3, name="conv")(image)
    x = flavour.batch_normalization(name="norm")(x, **({"training": True} if training else {}))
    x = layers.Dense(5, name="scores")(layers.Flatten()(layers.ReLU()(x)))
    model = flavour.keras.Model(image, x)
    weights = [np.array([1.5, 0, -2, 0.1]), rng.normal(size=4), rng.normal(size=4) * 5, np.array([0.01, 1, 30, 200])]
    model.get_layer("norm").set_weights(weights)
    return model


@pytest.fixture
def model(keras_flavour, rng):
    return small_model(keras_flavour, rng)


@pytest.fixture
def model_path(model, tmp_path):
    return save(model, tmp_path / "m.keras")


def test_inspect_shows_statistics_and_verdicts(model_path, keras_flavour, capsys):
    assert run(["inspect", model_path]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    rows = [line.split() for line in out.splitlines() if line.split()[:1] == ["norm"]]
    assert rows[0] == ["norm", "?x4x4x4", "3", "4", "-2", "..", "1.5", "1", "1", "0.01", "..", "200", rows[0][-1]]
    assert rows[1] == ["norm", "folded", "backward", "conv"]
    assert out.splitlines()[-1] == f"{keras_flavour.name}: 1 of 1 BatchNorms folded."


def test_inspect_writes_json_and_nothing_else(model_path, keras_flavour, capsys):
    assert run(["inspect", model_path, "--json"]) == 0
    out, err = capsys.readouterr()
    record = json.loads(out)
    assert err == ""
    assert record["schema_version"] == 1
    assert record["keras"] == keras_flavour.name
    assert record["batchnorms"][0]["layer"] == "norm"
    assert record["batchnorms"][0]["negative_gammas"] == 1
    assert record["verdicts"][0]["action"] == "folded"


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")  # the command silences it
def test_fold_writes_a_model_without_batchnorm(model, model_path, suffix, tmp_path, rng, capsys):
    out = tmp_path / f"folded{suffix}"
    assert run(["fold", model_path, "-o", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{out}: 1 of 1 BatchNorms folded."
    folded = load_model(out)
    assert not [layer for layer in folded.layers if "BatchNorm" in type(layer).__name__]
    x = rng.normal(size=(4, 6, 6, 3)).astype("float32")
    want = np.asarray(model(x))
    np.testing.assert_allclose(np.asarray(folded(x)), want, rtol=0, atol=1e-5 * np.abs(want).max())
    assert run(["verify", model_path, str(out)]) == 0


def test_export_writes_a_verified_file(model_path, tmp_path, capsys):
    out = tmp_path / "m.tflite"
    assert run(["export", model_path, "-o", str(out)]) == 0
    text, err = capsys.readouterr()
    assert err == ""
    assert f"{out}: float32, {out.stat().st_size:,} bytes" in text
    assert "1 of 1 BatchNorms folded." in text
    assert text.splitlines()[-1].startswith("Equal: 1 output over")
    assert read_tflite(out).op_counts["CONV_2D"] == 1


def test_export_to_int8_calibrates_and_verifies_on_the_file_given(model_path, tmp_path, rng, capsys):
    np.savez(tmp_path / "x.npz", image=100 * rng.normal(size=(50, 6, 6, 3)).astype("float32"))
    out = tmp_path / "m.tflite"
    options = ["--precision", "int8", "--calibration", str(tmp_path / "x.npz"), "--io-dtype", "uint8"]
    assert run(["export", model_path, "-o", str(out), *options]) == 0
    text = capsys.readouterr().out
    assert "Calibrated on 50 samples from x.npz." in text
    assert "over 32 samples" in text
    assert read_tflite(out).inputs[0].dtype == "UINT8"


@pytest.mark.either_keras
def test_export_options_reach_the_file(model_path, tmp_path, capsys):
    out = tmp_path / "m.tflite"
    assert run(["export", model_path, "-o", str(out), "--batch-size", "0", "--no-fold", "--no-verify"]) == 0
    text = capsys.readouterr().out
    assert "Not folded, as asked for." in text
    assert text.splitlines()[-1] == "Not verified."
    assert read_tflite(out).inputs[0].shape == (-1, 6, 6, 3)


@pytest.mark.either_keras
def test_a_file_that_computes_something_else_does_not_get_the_name(model_path, tmp_path, capsys, monkeypatch):
    """The converter is given a model with one wrong weight."""
    from kerasbn_export.export import prepared

    real = prepared.fold_model

    def faulty(model, **options):
        result = real(model, **options)
        result.model.get_layer("conv").bias.assign([0, 0, 0, 1.0])
        return result

    monkeypatch.setattr(prepared, "fold_model", faulty)
    out = tmp_path / "m.tflite"
    out.write_bytes(b"the file of yesterday")
    assert run(["export", model_path, "-o", str(out)]) == 1
    text = capsys.readouterr().out
    assert str(tmp_path / "m.rejected.tflite") in text
    assert "\nDiffers: output 'scores'.\n" in text
    assert out.read_bytes() == b"the file of yesterday"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.keras", "m.rejected.tflite", "m.tflite"]


@pytest.mark.parametrize("command", ["fold", "export"])
def test_strict_refuses_what_cannot_be_folded(command, keras_flavour, rng, tmp_path, capsys):
    path = save(small_model(keras_flavour, rng, training=True), tmp_path / "m.keras")
    out = tmp_path / ("out.keras" if command == "fold" else "out.tflite")
    assert run([command, path, "-o", str(out), "--strict"]) == 1
    assert "norm" in capsys.readouterr().err
    assert not out.exists()


def test_verify_says_what_differs_and_exits_with_one(model, model_path, tmp_path, capsys):
    model.get_layer("scores").bias.assign(np.full(5, 0.5, "float32"))
    other = save(model, tmp_path / "other.keras")
    assert run(["verify", model_path, other, "--json", str(tmp_path / "r.json")]) == 1
    text, err = capsys.readouterr()
    assert err == ""
    assert "\nDiffers: output 'scores'.\n" in text
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["schema_version"] == 1
    assert record["status"] == "differs"
    assert run(["verify", model_path, other, "--tolerance", "0.99", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "equal"


def test_verify_on_data_of_a_file(model_path, tmp_path, rng, capsys):
    np.save(tmp_path / "x.npy", rng.normal(size=(3, 6, 6, 3)).astype("float32"))
    assert run(["verify", model_path, model_path, "--data", str(tmp_path / "x.npy")]) == 0
    assert "over 3 samples" in capsys.readouterr().out


@pytest.mark.parametrize("equal", [True, False])
def test_demo_passes_its_options_on_and_its_answer_back(equal, tmp_path, monkeypatch):
    from kerasbn_export import demo

    asked = []
    monkeypatch.setattr(demo, "run_demo", lambda *arguments: asked.append(arguments) or equal)
    assert run(["demo", "-o", str(tmp_path / "d"), "--keras", "tf_keras"]) == (0 if equal else 1)
    assert asked == [(tmp_path / "d", "tf_keras")]


def test_help_names_every_command(capsys):
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {command} " in out for command in COMMANDS)


def test_every_command_has_help(capsys):
    for command in COMMANDS:
        assert run([command, "--help"]) == 0
        assert f"Usage: kerasbn {command}" in capsys.readouterr().out


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_and_version_import_nothing_heavy(argument):
    """That is what makes them answer at once."""
    code, imported, lines = heavy_imports(argument)
    assert (code, imported) == (0, [])
    assert argument == "--help" or lines == [f"kerasbn {kerasbn.__version__}"]


@pytest.mark.either_keras
@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
def test_the_process_is_quiet(flavour, tmp_path):
    """A new process, since log lines come at import, from C++ and from other threads."""
    path = save(small_model(Flavour(flavour), np.random.default_rng(1)), tmp_path / "m.keras")
    options = ["-o", "m.tflite", "--precision", "int8", "--calibration", "random"]
    done = run_process(tmp_path, "export", path, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert not [word for word in ("WARNING", "INFO", "I0000", "W0000", "absl", "Saved artifact") if word in done.stdout]


def test_with_debug_the_log_lines_are_there(tmp_path):
    """So the test above looks for something that exists."""
    path = save(small_model(Flavour("keras"), np.random.default_rng(1)), tmp_path / "m.keras")
    done = run_process(tmp_path, "inspect", path, "--debug")
    assert done.returncode == 0
    assert done.stderr != ""


@pytest.mark.either_keras
def test_targets_and_branches_reach_the_fold(keras_flavour, tmp_path, capsys, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((6, 6, 3))
    wide = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    slim = keras.layers.Conv2D(4, 1)(inputs)
    x = keras.layers.Add()([keras.layers.BatchNormalization(name="one")(wide), slim])
    x = keras.layers.BatchNormalization(name="two")(keras.layers.ReLU()(x))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 3, padding="same")(x))
    randomise(model, rng)
    model.save(tmp_path / "model.keras")
    layers = {}
    for options in ((), ("--keep-branches",), ("--target", "ops")):
        out = tmp_path / "out.keras"
        assert run(["fold", str(tmp_path / "model.keras"), "-o", str(out), *options]) == 0
        printed = capsys.readouterr().out
        layers[options] = sorted(type(layer).__name__ for layer in load_model(out).layers)
    assert layers[()].count("Conv2D") == 2
    assert layers[("--keep-branches",)].count("Conv2D") == 3
    assert "DepthwiseConv2D" in layers[()]
    assert "DepthwiseConv2D" not in layers[("--target", "ops")]
    assert "On 1 of those that are gone there is a note" in printed
    assert run(["fold", str(tmp_path / "model.keras"), "-o", str(out), "--verbose"]) == 0
    assert "coarser in int8" in capsys.readouterr().out


def test_precision_reaches_the_fold(keras_flavour, tmp_path, rng):
    keras = keras_flavour.keras
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, activation="relu", name="before")(inputs))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 3)(x))
    randomise(model, rng)
    model.save(tmp_path / "model.keras")
    moved = {}
    for precision in ("float32", "int8"):
        out = tmp_path / f"{precision}.keras"
        assert run(["fold", str(tmp_path / "model.keras"), "-o", str(out), "--precision", precision]) == 0
        kernels = [np.asarray(m.get_layer("before").get_weights()[0]) for m in (load_model(out), model)]
        moved[precision] = not np.array_equal(*kernels)
    assert moved == {"float32": False, "int8": True}
