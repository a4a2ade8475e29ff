"""``isoglot report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report"]


def report(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="[NAME=]FOLDER...", help="Evaluations of one benchmark."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")],
    title: Annotated[str | None, typer.Option(help="Title of the page.")] = None,
    measure: Annotated[
        str | None, typer.Option(help="For headline and heat maps; default: AP if evaluated.")
    ] = None,
    tables: Annotated[
        Path | None, typer.Option(help="Folder for the tables as Markdown, CSV and LaTeX.")
    ] = None,
) -> None:
    """Write one HTML page about one or more evaluations; with several, differences from the first.

    The page needs no other file and no network.
    """
    from isoglot.pipeline.report import parse_run, write_report

    write_report(
        [parse_run(run) for run in runs], output, title=title, measure=measure, tables=tables
    )
    typer.echo(f"report: {output}")
    if tables is not None:
        typer.echo(f"tables: {tables}")
