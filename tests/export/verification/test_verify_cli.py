"""`kerasbn verify` and `kerasbn recheck`: the four exit codes, the files, and what the terminal shows."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from kerasbn_testing.command import heavy_imports

from kerasbn_export.cli import recheck as recheck_command
from kerasbn_export.cli import verify as verify_command
from kerasbn_export.cli.main import run
from kerasbn_export.cli.output import json_text
from kerasbn_export.tflite.interpreter import BACKENDS
from kerasbn_export.verification.sides.runtimes import RUNTIMES


def small_model(flavour, rng):
    layers = flavour.keras.layers
    signal = flavour.keras.Input((6, 3), name="signal")
    x = layers.Dense(4, name="dense")(signal)
    x = flavour.batch_normalization(name="norm")(x)
    x = layers.Dense(5, name="scores")(layers.Flatten()(layers.ReLU()(x)))
    model = flavour.keras.Model(signal, x)
    weights = [np.array([1.5, 0.3, -2, 0.1]), rng.normal(size=4), rng.normal(size=4) * 5, np.array([0.01, 1, 30, 200])]
    model.get_layer("norm").set_weights(weights)
    return model


@pytest.fixture
def model(keras_flavour, rng):
    return small_model(keras_flavour, rng)


@pytest.fixture
def paths(model, tmp_path):
    """The model, its fold, and its fold with the Dense bias gone wrong."""
    from kerasbn_export import fold

    folded = fold(model).model
    model.save(tmp_path / "m.keras")
    folded.save(tmp_path / "right.keras")
    folded.get_layer("dense").bias.assign_add(np.array([0, 0.5, 0, 0], "float32"))
    folded.save(tmp_path / "wrong.keras")
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


FILES = ("--json", "r.json", "--junit", "r.xml", "--html", "r.html")


def test_equal_exits_with_0_and_writes_all_files(paths, monkeypatch, capsys):
    monkeypatch.chdir(paths)
    assert run(["verify", "m.keras", "right.keras", "--samples", "2", *FILES]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "wrong layer" not in out
    assert "Inputs: signal = signal (by name). Outputs: scores = scores (by name)." in out
    assert out.splitlines()[-1].startswith("Equal: 1 output over 6 samples; ")
    assert json.loads((paths / "r.json").read_text())["exit_code"] == 0
    assert ElementTree.parse("r.xml").getroot().get("failures") == "0"  # noqa: S314
    assert "Equal: 1 output over" in (paths / "r.html").read_text()
    assert names(paths) == ["m.keras", "r.html", "r.json", "r.xml", "right.keras", "wrong.keras"]


def test_different_exits_with_1_and_names_layer_and_weight(paths, monkeypatch, capsys):
    monkeypatch.chdir(paths)
    assert run(["verify", "m.keras", "wrong.keras", "--samples", "2", *FILES]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines if line.split()[:1] == ["dense"]] == [["dense", "norm"]]
    assert [line.split()[:3] for line in lines if line.split()[:1] == ["bias"]] == [["bias", "dense", "0.5"]]
    assert lines[-4:-2] == [
        "Differs: output 'scores'.",
        "Where: layer 'dense', merged with 'norm'; what it is given is right.",
    ]
    assert ElementTree.parse("r.xml").getroot().get("failures") == "2"  # noqa: S314


def test_not_comparable_exits_with_2(paths, monkeypatch, capsys):
    monkeypatch.chdir(paths)
    np.save("zeros.npy", np.zeros((2, 6, 3), "float32"))
    np.save("other.npy", np.zeros((2, 5), "float32"))
    assert run(["verify", "m.keras", "right.keras", "--data", "other.npy"]) == 2
    assert "do not fit the input signal" in capsys.readouterr().err
    assert run(["verify", "m.keras", "missing.tflite"]) == 2
    assert "no such file" in capsys.readouterr().err
    assert run(["verify", "m.keras", "right.keras", "--data", "zeros.npy", "--junit", "r.xml"]) == 2
    assert "proves nothing" in capsys.readouterr().out
    assert ElementTree.parse("r.xml").getroot().get("errors") == "1"  # noqa: S314


@pytest.mark.parametrize("option", ["--json", "--junit", "--html"])
def test_what_cannot_be_written_exits_with_3_before_anything_runs(paths, option, monkeypatch, capsys):
    monkeypatch.chdir(paths)
    before = names(paths)
    assert run(["verify", "m.keras", "missing.tflite", option, "no/such/folder"]) == 3
    assert "does not exist" in capsys.readouterr().err
    assert run(["verify", "m.keras", "right.keras", option, "right.keras"]) == 3
    assert "is the model itself" in capsys.readouterr().err
    assert names(paths) == before


def test_a_failure_inside_exits_with_3_and_leaves_no_file(paths, monkeypatch, capsys):
    import kerasbn_export.verification.report as report

    def fail(_):
        raise RuntimeError("out of ink")

    monkeypatch.chdir(paths)
    monkeypatch.setattr(report, "to_junit", fail)
    before = names(paths)
    assert run(["verify", "m.keras", "right.keras", "--samples", "1", "--no-layers", *FILES]) == 3
    assert capsys.readouterr().err == "error: unexpected RuntimeError: out of ink (--debug shows the traceback)\n"
    assert names(paths) == before


def test_scales_and_layers_are_passed_on(paths, monkeypatch, capsys):
    monkeypatch.chdir(paths)
    arguments = ["verify", "m.keras", "right.keras", "--samples", "1", "--json", "-"]
    assert run([*arguments, "--scales", "2.5, 3", "--no-layers"]) == 0
    held = json.loads(capsys.readouterr().out)
    assert held["samples"] == 2
    assert held["outputs"][0]["input_scale"] in (2.5, 3.0)
    assert held["per_layer"] == []


@pytest.mark.parametrize("scales", ["", "1,", "0", "-1", "nan", "inf", "1;2"])
def test_scales_that_mean_nothing(scales, capsys):
    assert run(["verify", "a", "b", "--scales", scales]) == 2
    assert "numbers above 0" in capsys.readouterr().err


def test_the_backends_are_those_that_there_are():
    assert (*BACKENDS, *RUNTIMES) == verify_command.BACKENDS


@pytest.mark.either_keras
def test_recheck_judges_as_verify_would(paths, monkeypatch, capsys):
    monkeypatch.chdir(paths)
    assert run(["verify", "m.keras", "wrong.keras", "--samples", "2", "--json", "r.json"]) == 1
    needed = json.loads((paths / "r.json").read_text())["required_tolerance"]
    for tolerance in (needed / 2, needed * 1.01, 0.9):
        options = ["--tolerance", repr(tolerance)]
        code = run(["verify", "m.keras", "wrong.keras", "--samples", "2", *options])
        assert run(["recheck", "r.json", *options, "--json", "again.json"]) == code
        assert json.loads((paths / "again.json").read_text())["exit_code"] == code
    assert code == 0
    assert run(["recheck", "r.json", "--html", "again.html", "--junit", "again.xml"]) == 1
    assert ElementTree.parse("again.xml").getroot().get("failures") == "2"  # noqa: S314
    capsys.readouterr()
    assert run(["recheck", "r.json", "--json", "-"]) == 1
    assert json.loads(capsys.readouterr().out) == json.loads((paths / "r.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["missing.json"], 2, "no such file"),
        (["bad.json"], 2, "not a report"),
        (["bad.json", "--tolerance", "much"], 2, "not a valid float"),
        (["bad.json", "--html", "no/such/folder"], 3, "does not exist"),
        ([], 2, "Missing argument 'REPORT.json'"),
    ],
)
def test_recheck_of_what_is_no_report(arguments, code, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.json").write_text("[1, 2]")
    assert run(["recheck", *arguments]) == code
    assert message in capsys.readouterr().err


def test_recheck_imports_no_framework(tmp_path):
    """That is what makes it answer at once. The report is made in a process of its own, too."""
    report = tmp_path / "r.json"
    report.write_text(json_text(EXAMPLE))
    arguments = ["recheck", str(report), "--html", str(tmp_path / "r.html"), "--junit", str(tmp_path / "r.xml")]
    code, imported, _ = heavy_imports(*arguments)
    assert (code, imported) == (1, [])
    assert (tmp_path / "r.html").exists()
    assert callable(recheck_command.command)


def test_lists_of_numbers_take_one_line_and_mean_the_same():
    record = {"a": [1, -2.5, 3e-7, None], "b": [], "c": ["[\n 1", "x"], "d": [[1, 2], [3]], "e": {"f": [{"g": [1]}]}}
    text = json_text(record)
    assert json.loads(text) == record
    assert '"a": [1, -2.5, 3e-07, null]' in text
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text({"a": [float("nan")]})


EXAMPLE = {
    "schema_version": 1,
    "reference": "a.keras",
    "candidate": "a.tflite",
    "precision": "float32",
    "seed": 0,
    "samples": 4,
    "inputs": [],
    "matches": [],
    "outputs": [
        {
            "name": "y",
            "candidate_name": "y",
            "stage": "output",
            "status": "equal",
            "reason": "as it was judged then",
            "gate": {"tolerance": 0.5, "min_sqnr": None},
            "measurement": {
                "samples": 4,
                "elements": 40,
                "max_difference": 0.01,
                "max_reference": 1.0,
                "sqnr_db": 40.0,
                "cosine": 1.0,
                "agreement": None,
                "worst_sample": 2,
                "reference_content": "varies",
                "candidate_content": "varies",
            },
        }
    ],
}
"""A report of the first kerasbn that wrote any: what came later is missing."""
