"""The report: one self-contained HTML page about one or more evaluations. No torch."""

from isoglot.reporting.html.page import render_report
from isoglot.reporting.html.report import Report, build_report
from isoglot.reporting.html.runs import ReportRun
from isoglot.reporting.html.tables import report_tables

__all__ = ["Report", "ReportRun", "build_report", "render_report", "report_tables"]
