"""The random models see what they are to see: a broken rule, a rule that never fires, a run that was cut short."""

import json
import sys

import property_run
import pytest
from kerasbn_testing.coverage import ARITHMETIC, Coverage, known_kinds, rule_names
from kerasbn_testing.property import check
from kerasbn_testing.random_graphs import INPUTS, ORDER
from kerasbn_testing.random_sequences import INNER, softmax

from kerasbn_export.folding.passes import unroll_time
from kerasbn_export.folding.verdict import Reason
from kerasbn_export.graph import batchnorm

DENSE_BN = [[0], [0, 99, 14, 1, 0, 0]]
"""A Dense and a BatchNorm behind it."""


def test_a_program_is_a_model_and_its_coverage(keras_flavour):
    outcome = check(keras_flavour, DENSE_BN)
    assert (outcome.batchnorms, outcome.gone, outcome.exact) == (1, 1, True)
    assert outcome.coverage.layers == {"InputLayer": 1, "Dense": 1, "BatchNormalization": 1}
    assert outcome.coverage.taken == {"backward: Dense": 1}
    assert outcome.coverage.rules == {"producer.backward": 1}


def test_a_broken_rule_is_seen(keras_flavour, monkeypatch):
    right = batchnorm.batchnorm_affine
    monkeypatch.setattr(batchnorm, "batchnorm_affine", lambda *given: right(*given[:-1], 0.5))
    with pytest.raises(AssertionError, match=r"folded differs by .* in float64"):
        check(keras_flavour, DENSE_BN)


def test_a_program_moves_an_axis_where_a_rule_forgets_it(keras_flavour, monkeypatch):
    """`TimeDistributed(Softmax(axis=1))` was once opened as if it were elementwise."""
    image = [0, 0, 0, 0, 0, 0, INPUTS.index((6, 5, 4))]
    step = [0, 0, ORDER.index("time_distributed"), 0, INNER.index(softmax), 1]
    assert check(keras_flavour, [image, step]).coverage.layers["TimeDistributed < Softmax"] == 1
    monkeypatch.setattr(unroll_time, "ELEMENTWISE", (*unroll_time.ELEMENTWISE, "Softmax"))
    with pytest.raises(AssertionError, match=r"folded differs by .* in float64"):
        check(keras_flavour, [image, step])


def test_what_never_occurred_is_named(keras_flavour):
    everything = Coverage()
    everything.layers.update(known_kinds(keras_flavour))
    everything.rules.update(rule_names())
    everything.reasons.update(reason.value for reason in Reason)
    without = Coverage(everything.to_json())
    del without.layers["Conv2D"], without.rules["spatial.backward"], without.reasons["axis"]
    new = set(without.blind_spots(keras_flavour)) - set(everything.blind_spots(keras_flavour))
    assert new == {"layer Conv2D", "rule spatial.backward", "reason axis"}
    assert set(ARITHMETIC) < known_kinds(keras_flavour)


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["property_run.py", *map(str, arguments)])
    return property_run.main()


def test_a_run_goes_on_where_it_was_cut(keras_flavour, monkeypatch, tmp_path, capsys):
    path = tmp_path / "results.json"
    given = ("--keras", keras_flavour.name, "--chunk", 1, "--steps", 2, "--results", path)
    assert run(monkeypatch, *given, "--examples", 1) == 0
    first = json.loads(path.read_text())
    assert run(monkeypatch, *given, "--examples", 2) == 0
    both = json.loads(path.read_text())
    assert both["chunks"]["0"] == first["chunks"]["0"]
    assert both["chunks"].keys() == {"0", "1"}
    capsys.readouterr()
    assert run(monkeypatch, "--summary", path) == 0
    assert f"of {keras_flavour.name} folded and equal, 0 not" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="is of another run"):
        run(monkeypatch, *given, "--examples", 2, "--seed", 7)


def test_a_failure_and_a_rule_that_never_fired_fail_the_run(monkeypatch, tmp_path, capsys):
    counts = property_run._counts([])
    chunks = {"0": {**counts, "models": 299, "seconds": 1.0, "failure": None}}
    path = tmp_path / "results.json"

    def summary():
        path.write_text(json.dumps({"keras": "keras", "chunks": chunks}))
        code = run(monkeypatch, "--summary", path, "--verbose")
        return code, capsys.readouterr().out

    assert summary()[0] == 0
    chunks["1"] = {**chunks["0"], "models": 1}
    code, printed = summary()
    assert code == 1
    assert "never occurred: rule producer.backward" in printed
    assert "never occurred: layer" not in printed
    chunks["2"] = {**chunks["0"], "models": 2000, "failure": "AssertionError: folded differs"}
    code, printed = summary()
    assert code == 1
    assert "AssertionError: folded differs" in printed
    assert "never occurred: layer Conv2D" in printed
