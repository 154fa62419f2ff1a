"""A report of runs: one HTML file that opens without a network. Nothing here needs torch."""

from potstill.report.find import find_runs
from potstill.report.page import write_page, write_report
from potstill.report.rows import ReportRow, found_rows, given_rows

__all__ = ["ReportRow", "find_runs", "found_rows", "given_rows", "write_page", "write_report"]
