"""Every kind of bad input ends in one line that says what is wrong, the right exit code, and no file."""

import errno
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest

from kerasbn.flavour import Flavour
from kerasbn_export.cli.main import run

pytestmark = pytest.mark.either_keras


def model_with(flavour, *layers):
    x = y = flavour.keras.Input((5,), name="x")
    for layer in layers:
        y = layer(y)
    return flavour.keras.Model(x, y)


def dense(flavour):
    return flavour.keras.layers.Dense(3, name="dense")


def save_good(flavour, folder):
    model = model_with(flavour, dense(flavour), flavour.batch_normalization(name="norm"))
    variance = np.array([0.01, 2, 50])
    model.get_layer("norm").set_weights([np.array([-1, 0, 2]), np.ones(3), np.ones(3) * 9, variance])
    model.save(folder / "good.keras")
    return str(folder / "good.keras")


@pytest.fixture
def good(keras_flavour, tmp_path):
    return save_good(keras_flavour, tmp_path)


def refused(arguments, capsys, code):
    """Runs a command that must fail; gives its one line."""
    assert run(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def commands(model, tmp_path):
    """Every command that takes a model."""
    return {
        "inspect": ["inspect", model],
        "fold": ["fold", model, "-o", str(tmp_path / "out.keras")],
        "export": ["export", model, "-o", str(tmp_path / "out.tflite")],
        "verify": ["verify", model, model],
    }


COMMANDS = ["inspect", "fold", "export", "verify"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_file(command, tmp_path, capsys):
    arguments = commands(str(tmp_path / "none.keras"), tmp_path)[command]
    message = refused(arguments, capsys, 2)
    assert "none.keras: no such file" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_is_no_model(command, tmp_path, capsys):
    (tmp_path / "notes.keras").write_text("dear diary")
    message = refused(commands(str(tmp_path / "notes.keras"), tmp_path)[command], capsys, 2)
    assert "notes.keras" in message
    assert "begins with b'dear dia'" in message
    assert [path.name for path in tmp_path.iterdir()] == ["notes.keras"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_lambda_layer(command, keras_flavour, tmp_path, capsys):
    path = tmp_path / "wild.keras"
    double = keras_flavour.keras.layers.Lambda(lambda x: 2 * x, output_shape=(5,), name="wild")
    model_with(keras_flavour, double).save(path)
    message = refused(commands(str(path), tmp_path)[command], capsys, 2)
    assert "layer 'wild' is a Lambda layer" in message
    assert "--allow-code" in message
    assert [found.name for found in tmp_path.iterdir()] == ["wild.keras"]


def test_a_lambda_layer_that_is_allowed(keras_flavour, tmp_path, capsys):
    path = tmp_path / "wild.keras"
    double = keras_flavour.keras.layers.Lambda(lambda x: 2 * x, output_shape=(5,), name="wild")
    model_with(keras_flavour, double, dense(keras_flavour)).save(path)
    assert run(["inspect", str(path), "--allow-code"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("command", ["inspect", "fold", "export"])
def test_a_model_without_batchnorm_is_fine(command, keras_flavour, tmp_path, capsys):
    path = tmp_path / "plain.keras"
    model_with(keras_flavour, dense(keras_flavour)).save(path)
    assert run(commands(str(path), tmp_path)[command]) == 0
    out, err = capsys.readouterr()
    assert "The model has no BatchNorm: nothing to fold." in out
    assert err == ""
    if command != "inspect":
        assert len(list(tmp_path.glob("out.*"))) == 1


@pytest.mark.parametrize(
    ("command", "value"),
    [("inspect", np.nan), ("inspect", np.inf), ("inspect", -1.0), ("fold", np.nan), ("export", np.nan)],
)
def test_a_moving_variance_that_means_nothing(command, value, keras_flavour, tmp_path, capsys):
    path = tmp_path / "sick.keras"
    model = model_with(keras_flavour, dense(keras_flavour), keras_flavour.batch_normalization(name="norm"))
    model.get_layer("norm").set_weights([np.ones(3), np.zeros(3), np.zeros(3), np.array([1, 4, value])])
    model.save(path)
    message = refused(commands(str(path), tmp_path)[command], capsys, 2)
    assert "norm" in message
    assert "channel 2" in message
    assert [found.name for found in tmp_path.iterdir()] == ["sick.keras"]


CALIBRATIONS = {
    "shape": (np.ones((7, 4), "float32"), r"have shape (n, 4); the model wants input 'x' of shape (n, 5), float32"),
    "nan": (np.array([[1, 2, 3, 4, np.nan]] * 3, "float32"), "hold NaN or infinity, first in row 0"),
    "empty": (np.ones((0, 5), "float32"), "are empty: shape (n, 5)"),
    "text": (np.array([["a"] * 5]), "the model wants input 'x'"),
    "objects": (np.array([None, {}], dtype=object), "cannot be read as arrays of numbers"),
}


@pytest.mark.parametrize("case", CALIBRATIONS)
def test_calibration_that_does_not_fit(case, good, tmp_path, capsys):
    array, wanted = CALIBRATIONS[case]
    np.save(tmp_path / "x.npy", array)
    options = ["--precision", "int8", "--calibration", str(tmp_path / "x.npy")]
    message = refused(["export", good, "-o", str(tmp_path / "out.tflite"), *options], capsys, 2)
    assert wanted in message
    assert not (tmp_path / "out.tflite").exists()


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--precision", "int8"], 'needs calibration data; accepted: an array, .* or the text "data-free" or "random"'),
        (["--precision", "int8", "--calibration", "none.npy"], "none.npy: no such file; give a .npy or .npz file"),
        (["--precision", "int8", "--calibration", "gauss"], "'gauss' is not known"),
        (["--precision", "int3"], "'int3' is not one of 'float32'"),
        (["--batch-size", "-1"], "-1 is not in the range"),
    ],
)
def test_options_that_do_not_fit(options, wanted, good, tmp_path, capsys):
    import re

    assert re.search(wanted, refused(["export", good, "-o", str(tmp_path / "out.tflite"), *options], capsys, 2))
    assert not (tmp_path / "out.tflite").exists()


@pytest.mark.parametrize(("command", "name"), [("fold", "out.keras"), ("export", "out.tflite")])
def test_a_folder_that_does_not_exist(command, name, good, tmp_path, capsys):
    message = refused([command, good, "-o", str(tmp_path / "nowhere" / name)], capsys, 3)
    assert "nowhere does not exist; create it first" in message
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("command", ["fold", "export"])
def test_the_model_is_not_overwritten(command, good, capsys):
    assert "is the model itself" in refused([command, good, "-o", good], capsys, 3)


def test_fold_to_an_unknown_suffix(good, tmp_path, capsys):
    message = refused(["fold", good, "-o", str(tmp_path / "out.onnx")], capsys, 3)
    assert "ends in .keras, .h5 or .hdf5" in message


@pytest.mark.parametrize(("command", "name"), [("fold", "out.keras"), ("export", "out.tflite")])
def test_a_full_disk(command, name, good, tmp_path, capsys, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("kerasbn_export.files.atomic.os.fsync", full)
    message = refused([command, good, "-o", str(tmp_path / name)], capsys, 3)
    assert f"{name}: cannot be written: No space left on device" in message
    assert [path.name for path in tmp_path.iterdir()] == ["good.keras"]


@pytest.mark.parametrize(
    ("flavour", "command", "name"), [("keras", "fold", "out.keras"), ("tf_keras", "export", "out.tflite")]
)
def test_a_write_that_the_system_stops(flavour, command, name, tmp_path):
    """A real limit on the size of files, set by the process on itself: every write beyond it fails."""
    script = (
        "import resource, tensorflow; resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500)); "
        "from kerasbn_export.cli import main; main()"
    )
    good = save_good(Flavour(flavour), tmp_path)
    arguments = [sys.executable, "-c", script, command, good, "-o", str(tmp_path / name)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert [path.name for path in tmp_path.iterdir()] == ["good.keras"]


@pytest.mark.parametrize(
    ("module", "function", "command", "name"),
    [
        ("kerasbn_export.export.prepared", "convert", "export", "out.tflite"),
        ("kerasbn_export.folding.fold", "emit", "fold", "out.keras"),
        ("kerasbn_export.files.atomic", "_flush", "export", "out.tflite"),
    ],
)
def test_an_interruption_leaves_nothing(module, function, command, name, good, tmp_path, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(import_module(module), function, interrupt)
    assert run([command, good, "-o", str(tmp_path / name)]) == 130
    assert capsys.readouterr().err.strip() == "error: interrupted; nothing half-written is left"
    assert [path.name for path in tmp_path.iterdir()] == ["good.keras"]


def test_an_unexpected_error_is_one_line_with_a_hint(good, capsys, monkeypatch):
    def fail(*_):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("kerasbn_export.folding.inspection.inspect_model", fail)
    message = refused(["inspect", good], capsys, 3)
    assert message == "error: unexpected RuntimeError: two lines (--debug shows the traceback)\n"
    assert run(["inspect", good, "--debug"]) == 3
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["bla"], "No such command 'bla'"),
        (["inspect"], "Missing argument 'MODEL'"),
        (["export", "m.keras"], "Missing option '-o' / '--out'"),
        (["inspect", "m.keras", "--loud"], "No such option"),
    ],
)
def test_wrong_usage(arguments, wanted, capsys):
    message = refused(arguments, capsys, 2)
    assert wanted in message
    assert "--help'" in message
