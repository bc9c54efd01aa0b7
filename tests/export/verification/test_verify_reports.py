"""The reports say what the comparison found, and a comparison read back can be judged again."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from kerasbn.errors import InvalidArgumentError, ModelFileError
from kerasbn.flavour import KERAS
from kerasbn_export.capture import capture
from kerasbn_export.emit.emit import emit
from kerasbn_export.verification import assert_equivalent, verify
from kerasbn_export.verification.faults import NUMBERS, SUBJECTS, convert
from kerasbn_export.verification.report import read_report, recheck, to_junit, to_text

pytestmark = pytest.mark.either_keras


@pytest.fixture(scope="module")
def model():
    return SUBJECTS[1].build(KERAS)


def converted(model, fault=None):
    graph = capture(model)
    (convert if fault is None else fault.damage)(graph)
    return emit(graph)


@pytest.fixture(scope="module")
def right(model):
    return verify(model, converted(model), samples=2)


@pytest.fixture(scope="module")
def wrong(model):
    fault = next(fault for fault in NUMBERS if fault.name == "bias dropped")
    return verify(model, converted(model, fault), samples=2)


def written(report, tmp_path):
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report.to_json(), allow_nan=False), "utf-8")
    return path


@pytest.mark.parametrize("which", ["right", "wrong"])
def test_json_round_trip(which, request, tmp_path):
    report = request.getfixturevalue(which)
    again = read_report(written(report, tmp_path))
    assert again == report
    assert recheck(again) == report
    held = report.to_json()
    assert (held["schema_version"], held["exit_code"]) == (1, report.exit_code)
    assert held["outputs"][0]["required_tolerance"] == report.outputs[0].required_tolerance


def test_judged_again_by_another_gate(right, wrong):
    assert recheck(right, tolerance=1e-9).exit_code == 1
    needed = wrong.required_tolerance
    assert recheck(wrong, tolerance=0.99 * needed).exit_code == 1
    lenient = recheck(wrong, tolerance=max(1.01 * needed, 1.01 * wrong.first_divergence.cumulative_error))
    assert lenient.exit_code == 0
    with pytest.raises(InvalidArgumentError):
        recheck(right, tolerance=1.0)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("not json", ModelFileError, "not a report"),
        ("{}", ModelFileError, "not a report"),
        ('{"schema_version": 1}', ModelFileError, "not a report"),
        ('{"schema_version": 99}', InvalidArgumentError, "schema version 99"),
        (None, ModelFileError, "no such file"),
    ],
)
def test_files_that_are_no_reports(tmp_path, content, error, message):
    path = tmp_path / "report.json"
    if content is not None:
        path.write_text(content, "utf-8")
    with pytest.raises(error, match=message):
        read_report(path)


def test_junit_counts_what_failed(right, wrong):
    good, bad = (ElementTree.fromstring(to_junit(report).partition("\n")[2]) for report in (right, wrong))  # noqa: S314
    assert (good.get("tests"), good.get("failures"), good.get("errors")) == (str(len(right.outputs) + 1), "0", "0")
    assert good.findall(".//failure") == []
    assert int(bad.get("failures")) == len(bad.findall(".//failure")) == len(wrong.outputs) + 1
    assert wrong.first_divergence.sentence in [failure.get("message") for failure in bad.iter("failure")]


def test_junit_says_what_was_skipped_and_what_proves_nothing(model):
    zeros = np.zeros((2, 8, 3))
    report = verify(model, converted(model), data=zeros, layers=False)
    suite = ElementTree.fromstring(to_junit(report).partition("\n")[2])  # noqa: S314
    assert (suite.get("errors"), suite.get("skipped")) == (str(len(report.outputs)), "1")
    assert suite.find("testcase[@name='layers']/skipped") is not None


def test_junit_holds_names_that_xml_cannot(right):
    text = to_junit(replace(right, candidate="a\x00b\x1b<&>\ud800\uffff"))
    suite = ElementTree.fromstring(text.encode().partition(b"\n")[2])  # noqa: S314
    assert suite.find("testcase").get("classname") == "a\ufffdb\ufffd<&>\ufffd\ufffd"


def test_assert_equivalent(keras_flavour):
    model = SUBJECTS[1].build(keras_flavour)
    assert assert_equivalent(model, converted(model), samples=1, layers=False)
    zeros = np.zeros((2, 8, 3))
    with pytest.raises(AssertionError, match="proves nothing"):
        assert_equivalent(model, converted(model), data=zeros, layers=False)
    fault = next(fault for fault in NUMBERS if fault.name == "mean unscaled")
    with pytest.raises(AssertionError) as caught:
        assert_equivalent(model, converted(model, fault), samples=1)
    report = verify(model, converted(model, fault), samples=1)
    assert str(caught.value) == to_text(report)
    assert str(caught.value).startswith(report.answer[0])


def test_the_short_report_is_short_and_says_where(wrong):
    lines = to_text(wrong).splitlines()
    assert len(lines) <= 14
    assert lines[:4] == wrong.answer
    assert f"  reference: {wrong.reference}" in lines
    assert f"  smallest tolerance that would have passed: {wrong.required_tolerance:.3g}" in lines
    bad = [weight.sentence for weight in wrong.weights if not weight.passed]
    assert bad
    assert [f"  {sentence}" for sentence in bad[:5]] == [line for line in lines if " differs by " in line[:60]][
        : len(bad)
    ]


def test_assert_equivalent_in_a_suite_of_a_user(tmp_path):
    """pytest shows the line of the test, and the report as the message."""
    (tmp_path / "test_user.py").write_text(USER_TEST, "utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        str(tmp_path),
    ]
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "1 failed, 1 passed" in done.stdout
    assert ">       assert_equivalent(model, other)" in done.stdout
    assert "E       AssertionError: Differs: output 'y'." in done.stdout
    assert "report = verify(" not in done.stdout


USER_TEST = """
import keras
from kerasbn_export import assert_equivalent, fold

x = keras.Input((3,))
model = keras.Model(x, keras.layers.Dense(2, name="y")(keras.layers.BatchNormalization(name="norm")(x)))


def test_right():
    assert_equivalent(model, fold(model))


def test_wrong():
    other = keras.models.clone_model(model)
    other.set_weights([weight * 1.01 for weight in model.get_weights()])
    assert_equivalent(model, other)
"""


def test_judged_again_when_the_outputs_pass_and_a_layer_does_not(wrong):
    """A layer that errs beyond rounding is wrong at any tolerance that it does not reach itself."""
    far = max(layer.cumulative_error for layer in wrong.per_layer)
    passing = tuple(
        replace(o, measurement=replace(o.measurement, max_difference=0.0), referee=None) for o in wrong.outputs
    )
    lenient = replace(wrong, outputs=passing)
    again = recheck(lenient, tolerance=far / 100)
    assert again.exit_code == 1
    assert again.verdict.startswith("Differs: every output passes, but a layer errs beyond rounding. First wrong layer")
    assert recheck(lenient, tolerance=1.01 * far).exit_code == 0
    forgotten = recheck(replace(lenient, first_divergence=None), tolerance=far / 100)
    assert forgotten.first_divergence.layer in [layer.layer for layer in wrong.per_layer if not layer.passed]
    assert forgotten.exit_code == 1
