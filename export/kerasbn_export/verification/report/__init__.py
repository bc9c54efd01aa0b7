"""A `Comparison` for readers: JUnit XML for a build server, a page for a browser, and back from JSON."""

from kerasbn_export.verification.report.html import to_html
from kerasbn_export.verification.report.junit import to_junit
from kerasbn_export.verification.report.recheck import read_report, recheck

__all__ = ["read_report", "recheck", "to_html", "to_junit"]
