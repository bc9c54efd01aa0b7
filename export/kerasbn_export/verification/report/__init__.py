"""A `Comparison` for readers: text for a failed test, JUnit XML for a build server, a page, and back from JSON."""

from kerasbn_export.verification.records.comparison import Comparison
from kerasbn_export.verification.report.html import to_html
from kerasbn_export.verification.report.junit import to_junit
from kerasbn_export.verification.report.recheck import read_report, recheck

__all__ = ["read_report", "recheck", "to_html", "to_junit", "to_text"]


def to_text(comparison: Comparison) -> str:
    """What ``print`` writes of it."""
    return str(comparison)
