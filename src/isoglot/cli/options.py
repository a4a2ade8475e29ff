"""Options that several commands share, spelled once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from isoglot.progress import is_first_process

__all__ = [
    "ConfigPath",
    "MaxTokens",
    "Output",
    "Overrides",
    "PassagePrompt",
    "Pooling",
    "QueryPrompt",
    "Revision",
    "given",
    "tell",
]

ConfigPath = Annotated[Path, typer.Argument(help="YAML config.", show_default=False)]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a config value: a.b=c. Repeatable."),
]

Revision = Annotated[str | None, typer.Option(help="Hub commit or tag of the model.")]
Pooling = Annotated[str | None, typer.Option(help="mean or cls, for a model without pooling.")]
QueryPrompt = Annotated[str | None, typer.Option(help="Put before every query.")]
PassagePrompt = Annotated[str | None, typer.Option(help="Put before every passage.")]
MaxTokens = Annotated[int | None, typer.Option(min=1, help="Cut longer texts.")]


def given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what was not given, so that the config's defaults hold."""
    return {key: value for key, value in values.items() if value is not None}


def tell(line: str) -> None:
    """Print a line about the work, apart from its result: to stderr, once of several processes."""
    if is_first_process():
        typer.echo(line, err=True)
