"""Options that several commands share, spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isoglot.progress import is_first_process

__all__ = ["ConfigPath", "Output", "Overrides", "tell"]

ConfigPath = Annotated[Path, typer.Argument(help="YAML config.", show_default=False)]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a config value: a.b=c. Repeatable."),
]


def tell(line: str) -> None:
    """Print a line about the work, apart from its result: to stderr, once of several processes."""
    if is_first_process():
        typer.echo(line, err=True)
