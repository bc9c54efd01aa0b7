"""A file says which model it was made from and what became of its BatchNorms."""

import json

import numpy as np
import pytest

import kerasbn
from kerasbn_export.cli.main import run
from kerasbn_export.conversion.convert import convert
from kerasbn_export.conversion.provenance import KEY, read_provenance, weights_hash
from kerasbn_export.export.tflite import export_tflite
from kerasbn_export.tflite.file import read_tflite


def small_model(flavour):
    layers = flavour.keras.layers
    x = flavour.keras.Input((5,), name="x")
    y = flavour.batch_normalization(name="norm")(layers.Dense(3, name="dense")(x))
    model = flavour.keras.Model(x, y, name="small")
    model.get_layer("norm").set_weights([np.array([-1, 0, 2]), np.ones(3), np.ones(3) * 9, np.array([0.01, 2, 50])])
    return model


def test_the_file_tells_its_model_and_its_verdicts(keras_flavour, tmp_path):
    model = small_model(keras_flavour)
    result = export_tflite(model, tmp_path / "m.tflite")
    record = read_provenance(read_tflite(result.path))
    assert record["kerasbn"] == kerasbn.__version__
    assert record["keras"].split() == [keras_flavour.name, keras_flavour.keras.__version__]
    assert record["model"] == "small"
    assert record["sha256"] == weights_hash(model)
    assert record["verdicts"] == json.loads(json.dumps([verdict.to_json() for verdict in result.verdicts]))
    assert record["calibration_samples"] is None


@pytest.mark.either_keras
def test_the_same_model_gives_the_same_file_and_another_one_another_hash(keras_flavour, tmp_path):
    model = small_model(keras_flavour)
    first, again = (export_tflite(model, tmp_path / name).path.read_bytes() for name in ("a.tflite", "b.tflite"))
    assert first == again
    before = weights_hash(model)
    model.get_layer("norm").beta.assign([1, 1, 1.5])
    assert weights_hash(model) != before


@pytest.mark.either_keras
def test_files_of_others_and_damaged_records_tell_nothing(keras_flavour):
    model = small_model(keras_flavour)
    for metadata in ({}, {KEY: b"{"}, {KEY: b"[]"}, {KEY: b'{"schema_version": 99}'}):
        assert read_provenance(read_tflite(convert(model, metadata=metadata))) is None


def test_inspect_shows_it(keras_flavour, tmp_path, capsys):
    path = str(export_tflite(small_model(keras_flavour), tmp_path / "m.tflite").path)
    assert run(["inspect", path]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert ["norm", "folded", "dense"] in [line.split() for line in out.splitlines()]
    assert out.splitlines()[-1].startswith(f"Made by kerasbn {kerasbn.__version__} from {keras_flavour.name}")
    assert run(["inspect", path, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["schema_version"] == 1
    assert record["precision"] == "float32"
    assert record["inputs"][0]["name"] == "x"
    assert record["made_by_kerasbn"]["verdicts"][0]["action"] == "folded"


def test_inspect_of_a_file_of_others_says_so(keras_flavour, tmp_path, capsys):
    (tmp_path / "m.tflite").write_bytes(convert(small_model(keras_flavour)))
    assert run(["inspect", str(tmp_path / "m.tflite")]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("Not made by kerasbn")
    (tmp_path / "n.tflite").write_text("no file of ours")
    assert run(["inspect", str(tmp_path / "n.tflite")]) == 2
    assert "n.tflite: no .tflite file" in capsys.readouterr().err
