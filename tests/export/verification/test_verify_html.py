"""The page as text: whole, escaped, with nothing to fetch, also where a part of the report is missing."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from kerasbn_export.capture import capture
from kerasbn_export.emit.emit import emit
from kerasbn_export.verification import verify
from kerasbn_export.verification.faults import NUMBERS, SUBJECTS, convert
from kerasbn_export.verification.report import to_html

pytestmark = pytest.mark.either_keras


def converted(model, fault=None):
    graph = capture(model)
    (convert if fault is None else fault.damage)(graph)
    return emit(graph)


@pytest.fixture
def reports(keras_flavour):
    model = SUBJECTS[1].build(keras_flavour)
    fault = next(fault for fault in NUMBERS if fault.name == "bias dropped")
    pairs = {"right": converted(model), "wrong": converted(model, fault)}
    return {name: verify(model, other, samples=2) for name, other in pairs.items()}


class Page(HTMLParser):
    """Checks that every tag is closed, and collects what a browser would show or fetch."""

    VOID = ("meta", "rect", "line", "path", "img", "br")

    def __init__(self, text):
        super().__init__()
        self.open, self.counts, self.links, self.words = [], {}, [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_an_open_tag_is_noticed():
    with pytest.raises(AssertionError):
        Page("<p><b>bold</p>")
    with pytest.raises(AssertionError):
        Page("<p>")


def test_the_page_is_whole_and_needs_no_network(reports):
    for report in reports.values():
        text = to_html(report)
        page = Page(text)
        assert [link for link in page.links if not link.startswith("data:image/png;base64,")] == []
        assert "http" not in text
        assert "<script" not in text
        rows = (
            len(report.outputs) + len(report.per_layer) + len(report.weights) + len(report.inputs) + len(report.matches)
        )
        assert page.counts["tr"] == 4 + rows
        shown = " ".join("".join(page.words).split())
        assert all(" ".join(line.split()) in shown for line in report.answer)
        assert report.required_tolerance > 0
        assert f"{report.required_tolerance:.3g}" in shown


def test_names_are_escaped(reports):
    text = to_html(replace(reports["right"], candidate="<script>alert(1)</script>", notes=('"><img src=x>',)))
    assert "<script>" not in text
    assert "x" not in Page(text).links


def test_a_report_with_nothing_but_outputs(reports):
    outputs = tuple(replace(output, picture=None) for output in reports["wrong"].outputs)
    bare = replace(reports["wrong"], outputs=outputs, per_layer=(), weights=(), first_divergence=None)
    page = Page(to_html(bare))
    assert "svg" not in page.counts
    assert page.counts["h2"] == 2
