"""Evaluations to the files of a report: the page, and its tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from isoglot.artifacts import write_text
from isoglot.errors import ArtifactError, ConfigError
from isoglot.reporting.html import build_report, render_report, report_tables

__all__ = ["parse_run", "write_report"]


def write_report(
    runs: Sequence[tuple[str | None, Path]],
    output: Path,
    *,
    title: str | None = None,
    measure: str | None = None,
    tables: Path | None = None,
) -> None:
    """Write one self-contained HTML page about evaluations of one benchmark.

    Args:
        runs: Name (default: the model's) and folder of each evaluation. Differences are from the
            first.
        output: The file to write; replaced if it is there.
        title: Of the page; default: names and benchmark.
        measure: For headline and heat maps; default: AP, else the first that all runs hold.
        tables: Folder for the page's tables as Markdown, CSV and LaTeX; default: none.

    Raises:
        IsoglotError: If a run cannot be read, runs do not go together, the measure is not held, or
            a file cannot be written.
    """
    if output.is_dir():
        raise ArtifactError(f"{output}: is a folder; name a file, such as {output / 'report.html'}")
    if tables is not None and tables.exists() and not tables.is_dir():
        raise ArtifactError(f"{tables}: is a file; name a folder for the tables")
    report = build_report(runs, title=title, measure=measure)
    write_text(output, render_report(report))
    if tables is not None:
        for name, table in report_tables(report).items():
            write_text(tables / f"{name}.md", table.to_markdown())
            write_text(tables / f"{name}.csv", table.to_csv())
            write_text(tables / f"{name}.tex", table.to_latex())


def parse_run(text: str) -> tuple[str | None, Path]:
    """Read ``FOLDER`` or ``NAME=FOLDER``; a folder whose own name has a ``=`` is taken as it is.

    Raises:
        ConfigError: If the name or the folder is empty.
    """
    name, separator, folder = text.partition("=")
    if not separator or Path(text).is_dir():
        return None, Path(text)
    if not name.strip() or not folder:
        raise ConfigError(f"run {text!r}: expected FOLDER or NAME=FOLDER")
    return name.strip(), Path(folder)
