"""JUnit XML, as build servers read it: one test case per output, and one for the layers."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from kerasbn_export.verification.records.comparison import Comparison
from kerasbn_export.verification.records.outputs import OutputComparison, Status

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold in any form; a tensor's name may have them."""


def to_junit(comparison: Comparison) -> str:
    """The comparison as a test suite.

    An output that differs is a failure, one that proves nothing an error; layers that were not compared are skipped.
    """
    suite = Element("testsuite", name="kerasbn verify")
    for output in comparison.outputs:
        _add_output(suite, comparison, output)
    _add_layers(suite, comparison)
    for failure in comparison.failures:
        case = SubElement(suite, "testcase", classname=_clean(comparison.candidate), name=_clean(failure.split(":")[0]))
        SubElement(case, "error", message=_clean(failure))
    SubElement(suite, "system-out").text = _clean(comparison.verdict)
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("tests", str(len(suite.findall("testcase"))))
    indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(suite, encoding="unicode") + "\n"


def _add_output(suite: Element, comparison: Comparison, output: OutputComparison) -> None:
    case = SubElement(suite, "testcase", classname=_clean(comparison.candidate), name=_clean(output.title))
    if output.status is not Status.EQUAL:
        kind = "failure" if output.status is Status.DIFFERS else "error"
        text = f"required tolerance {output.required_tolerance:.3g}; gate: {output.gate}"
        SubElement(case, kind, message=_clean(output.reason)).text = text


def _add_layers(suite: Element, comparison: Comparison) -> None:
    case = SubElement(suite, "testcase", classname=_clean(comparison.candidate), name="layers")
    if comparison.first_divergence:
        failure = SubElement(case, "failure", message=_clean(comparison.first_divergence.sentence))
        failure.text = _clean(comparison.verdict)
    elif not comparison.per_layer:
        SubElement(case, "skipped", message=_clean(" ".join(comparison.notes)) or "layers not compared")


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
