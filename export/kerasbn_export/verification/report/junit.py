"""JUnit XML, as build servers read it: one test case per output, and one for the layers."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from kerasbn_export.verification.records import Comparison, OutputComparison, Status


def to_junit(comparison: Comparison) -> str:
    """The comparison as a test suite: an output that differs is a failure, one that proves nothing an error."""
    failures = sum(output.status is Status.DIFFERS for output in comparison.outputs)
    errors = sum(output.status is Status.UNPROVEN for output in comparison.outputs)
    wrong_layer = comparison.first_divergence is not None
    suite = Element(
        "testsuite",
        name="kerasbn verify",
        tests=str(len(comparison.outputs) + 1),
        failures=str(failures + wrong_layer),
        errors=str(errors),
    )
    for output in comparison.outputs:
        _add_output(suite, comparison, output)
    case = SubElement(suite, "testcase", classname=comparison.candidate, name="layers")
    if comparison.first_divergence:
        SubElement(case, "failure", message=comparison.first_divergence.sentence).text = comparison.verdict
    SubElement(suite, "system-out").text = comparison.verdict
    indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(suite, encoding="unicode") + "\n"


def _add_output(suite: Element, comparison: Comparison, output: OutputComparison) -> None:
    case = SubElement(suite, "testcase", classname=comparison.candidate, name=output.title)
    if output.status is not Status.EQUAL:
        kind = "failure" if output.status is Status.DIFFERS else "error"
        text = f"required tolerance {output.required_tolerance:.3g}; gate: {output.gate}"
        SubElement(case, kind, message=output.reason).text = text
