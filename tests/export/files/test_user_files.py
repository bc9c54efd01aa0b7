"""No command costs a file of the user's: paths are compared before anything runs, outputs appear together or not."""

import os

import numpy as np
import pytest

from kerasbn.errors import OutputError
from kerasbn_export import export_tflite
from kerasbn_export.cli.main import run
from kerasbn_export.files.atomic import replacing_all
from kerasbn_export.files.paths import C_SOURCE, HTML, JSON, KERAS_MODEL, TFLITE, Output, check_paths


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a model, data, a folder that is read, and a second name of each kind for the model."""
    monkeypatch.chdir(tmp_path)
    for name in ("m.keras", "x.npy", "other.keras", "r.json"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "sm").mkdir()
    (tmp_path / "sm" / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "link.keras").symlink_to("m.keras")
    os.link("m.keras", "hard.keras")
    return tmp_path


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("reads", "out", "kind", "said"),
    [
        ({"MODEL": "m.keras"}, "m.keras", KERAS_MODEL, "is the model itself, given as MODEL"),
        ({"MODEL": "m.keras"}, "./sm/../m.keras", KERAS_MODEL, "is the model itself"),
        ({"MODEL": "m.keras"}, "link.keras", KERAS_MODEL, "is the model itself"),
        ({"MODEL": "link.keras"}, "m.keras", KERAS_MODEL, "is the model itself"),
        ({"MODEL": "m.keras"}, "hard.keras", KERAS_MODEL, "is the model itself"),
        ({"--data": "x.npy"}, "x.npy", JSON, "is what is read, given as --data"),
        ({"MODEL": "sm"}, "sm/saved_model.pb", JSON, "into the folder sm of MODEL"),
        ({"MODEL": "sm"}, "sm/new.tflite", TFLITE, "into the folder sm of MODEL"),
        ({"MODEL": "m.keras"}, "other.keras", TFLITE, r"-o writes a TFLite file; give a name that ends in .tflite"),
        ({"MODEL": "m.keras"}, "new", TFLITE, r"ends in .tflite"),
        ({"MODEL": "m.keras"}, "other.keras", C_SOURCE, r"ends in .c, .h"),
        ({"MODEL": "m.keras"}, "new.onnx", KERAS_MODEL, r"ends in .keras, .h5 or .hdf5"),
        ({"MODEL": "m.keras"}, "other.keras", HTML, r"ends in .html or .htm"),
        ({"MODEL": "m.keras"}, "new.npy", JSON, r"ends in .json"),
        ({"MODEL": "m.keras"}, "n" * 300 + ".keras", KERAS_MODEL, "no name for a file"),
        ({"MODEL": "m.keras"}, "none/new.keras", KERAS_MODEL, "does not exist; create it first"),
        ({"MODEL": "m.keras"}, "sm", JSON, "is no regular file"),
    ],
)
@pytest.mark.usefixtures("place")
def test_an_output_that_would_cost_a_file_is_refused(reads, out, kind, said):
    with pytest.raises(OutputError, match=said) as caught:
        check_paths(reads, [Output("-o", out, kind)])
    assert out in str(caught.value)


@pytest.mark.parametrize(
    ("out", "kind"),
    [("new.keras", KERAS_MODEL), ("other.keras", KERAS_MODEL), ("r.json", JSON), ("report", HTML), ("-", JSON)],
)
def test_an_output_that_costs_nothing_is_accepted(out, kind, place):
    check_paths({"MODEL": "m.keras", "--calibration": "random", "--data": None}, [Output("-o", out, kind)])
    check_paths({"MODEL": place / "missing.keras"}, [Output("-o", out, kind)])


@pytest.mark.parametrize(
    ("one", "other"), [("r", "r"), ("r", "./r"), ("new.json", "NEW.json"), ("-", "-"), ("r.json", "again.json")]
)
def test_two_outputs_at_one_place_are_refused(one, other, place):
    (place / "again.json").symlink_to("r.json")
    with pytest.raises(OutputError, match=r"both --json and --html .* give two names"):
        check_paths({}, [Output("--json", one, JSON), Output("--html", other, JSON)])
    check_paths({}, [Output("--json", one, JSON), Output("--html", "elsewhere.html", HTML)])
    check_paths({}, [Output("--json", one, JSON), Output("--html", None, HTML)])


COMMANDS = [
    "fold m.keras -o link.keras",
    "fold m.keras -o new.onnx",
    "export m.keras -o other.keras",
    "export m.keras -o out.tflite --emit-c m.keras",
    "export m.keras -o out.tflite --emit-c other.keras",
    "export sm -o sm/out.tflite",
    "export m.keras -o x.npy --precision int8 --calibration x.npy",
    "verify m.keras other.keras --data x.npy --json x.npy",
    "verify m.keras other.keras --html other.keras",
    "verify m.keras other.keras --json r --html r",
    "verify m.keras other.keras --json - --junit -",
    "recheck r.json --html r.json",
]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_refuses_before_it_reads_anything(line, place, capsys):
    """The files are no models: whatever opened one would say so."""
    before = contents(place)
    assert run(line.split()) == 3
    assert capsys.readouterr().err.count("\n") == 1
    assert contents(place) == before


@pytest.mark.parametrize(("model", "out"), [("m.keras", "m.keras"), ("m.keras", "link.keras"), ("sm", "sm/a.tflite")])
@pytest.mark.usefixtures("place")
def test_the_function_refuses_the_same(model, out):
    with pytest.raises(OutputError):
        export_tflite(model, out)
    with pytest.raises(OutputError, match="given as calibration"):
        export_tflite("m.keras", "x.npy", precision="int8", calibration="x.npy")


def test_several_files_take_their_places_together(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with replacing_all([tmp_path / "a", tmp_path / "b"]) as (a, b):
        a.write_bytes(b"new")
        b.write_bytes(b"new")
        assert contents(tmp_path)["a"] == b"old"
    assert contents(tmp_path) == {"a": b"new", "b": b"new"}


def write_three(folder):
    with replacing_all([folder / name for name in "abc"]) as temporaries:
        for temporary in temporaries:
            temporary.write_bytes(b"new")


@pytest.mark.parametrize("failure", [OSError(5, "the disk is gone"), KeyboardInterrupt()])
@pytest.mark.parametrize("failing", ["a", "b", "c"])
@pytest.mark.parametrize("links", [True, False])
def test_if_one_cannot_take_its_place_none_does(failure, failing, links, tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"old a")
    (tmp_path / "c").write_bytes(b"old c")
    real = os.replace

    def replace(source, destination):
        if str(destination).endswith(failing) and source.read_bytes().startswith(b"new"):
            raise failure
        real(source, destination)

    def no_link(*_):
        raise OSError(95, "no hard links here")

    monkeypatch.setattr(os, "replace", replace)
    if not links:
        monkeypatch.setattr(os, "link", no_link)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        write_three(tmp_path)
    assert contents(tmp_path) == {"a": b"old a", "c": b"old c"}


def test_the_reports_of_verify_appear_together(keras_flavour, tmp_path, monkeypatch, capsys):
    layers = keras_flavour.keras.layers
    model = keras_flavour.keras.Sequential([keras_flavour.keras.Input((3,)), layers.Dense(2, name="dense")])
    monkeypatch.chdir(tmp_path)
    model.save("m.keras")
    np.save("x.npy", np.ones((2, 3)) * [[1], [2]])
    compared = ["verify", "m.keras", "m.keras", "--data", "x.npy", "--json", "r.json"]
    assert run([*compared, "--junit", "-"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("<?xml")
    assert err == ""
    assert sorted(contents(tmp_path)) == ["m.keras", "r.json", "x.npy"]
    before, real = contents(tmp_path), os.replace

    def replace(source, destination):
        if str(destination).endswith(".html"):
            raise OSError(28, "No space left on device")
        real(source, destination)

    monkeypatch.setattr(os, "replace", replace)
    assert run([*compared, "--junit", "r.xml", "--html", "r.html"]) == 3
    assert "r.html: cannot be written: No space left on device" in capsys.readouterr().err
    assert contents(tmp_path) == before
