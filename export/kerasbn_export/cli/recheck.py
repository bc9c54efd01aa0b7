"""``kerasbn recheck``."""

from __future__ import annotations

import click

from kerasbn_export.cli.comparison import check_reports, report, report_options


@click.command("recheck")
@click.argument("report_path", metavar="REPORT.json")
@report_options
def command(
    report_path: str,
    tolerance: float | None,
    min_sqnr: float | None,
    json_path: str | None,
    junit_path: str | None,
    html_path: str | None,
) -> int:
    """Judge what verify --json wrote by another tolerance, without running a model; exit codes as verify.

    Without an option the precision's own gate applies.
    """
    from kerasbn.errors import ModelFileError
    from kerasbn_export.files.reading import reading
    from kerasbn_export.verification.report import read_report, recheck

    check_reports((json_path, junit_path, html_path), {"REPORT.json": report_path})
    with reading(report_path, "the report does not hold together", ModelFileError):
        comparison = recheck(read_report(report_path), tolerance=tolerance, min_sqnr=min_sqnr)
        return report(comparison, json_path, junit_path, html_path)
