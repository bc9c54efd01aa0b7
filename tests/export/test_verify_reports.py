"""The reports say what the comparison found, and a comparison read back can be judged again."""

import json
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from kerasbn.errors import InvalidArgumentError, ModelFileError
from kerasbn.flavour import KERAS
from kerasbn_export.capture import capture
from kerasbn_export.emit import emit
from kerasbn_export.verification import assert_equivalent, verify
from kerasbn_export.verification.faults import NUMBERS, SUBJECTS, convert
from kerasbn_export.verification.report import read_report, recheck, to_html, to_junit


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


class Page(HTMLParser):
    """Checks that every tag is closed, and collects what a browser would show or fetch."""

    VOID = ("meta", "rect", "line")

    def __init__(self, text):
        super().__init__()
        self.open, self.counts, self.links, self.words = [], {}, [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.links += [value for name, value in attrs if name in ("href", "src")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.mark.parametrize("which", ["right", "wrong"])
def test_the_page_is_whole_and_needs_no_network(which, request):
    report = request.getfixturevalue(which)
    text = to_html(report)
    page = Page(text)
    assert page.links == []
    assert "http" not in text
    assert page.counts["rect"] == 2 * len(report.per_layer)
    assert page.counts["tr"] == 2 + len(report.outputs) + len(report.weights)
    shown = " ".join(page.words)
    assert report.verdict in shown
    assert report.required_tolerance > 0
    assert f"{report.required_tolerance:.3g}" in shown


def test_names_are_escaped(right):
    from dataclasses import replace

    text = to_html(replace(right, candidate="<script>alert(1)</script>"))
    assert "<script>" not in text
    Page(text)


def test_assert_equivalent(model):
    assert assert_equivalent(model, converted(model), samples=1, layers=False)
    fault = next(fault for fault in NUMBERS if fault.name == "mean unscaled")
    with pytest.raises(AssertionError, match="Differs"):
        assert_equivalent(model, converted(model, fault), samples=1, layers=False)
    zeros = np.zeros((2, 8, 3))
    with pytest.raises(AssertionError, match="proves nothing"):
        assert_equivalent(model, converted(model), data=zeros, layers=False)
