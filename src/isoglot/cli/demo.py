"""``isoglot demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["demo"]


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")] = Path(
        "runs/demo"
    ),
    language: Annotated[
        str, typer.Option("--language", "-l", help="Language of the question to search with.")
    ] = "sw",
    query: Annotated[
        str | None, typer.Option("--query", "-q", help="A question of your own, in any language.")
    ] = None,
) -> None:
    """Train the three regimes on a small embedded collection, compare them and search, offline."""
    from isoglot.demo import run_demo

    run_demo(output, typer.echo, language=language, query=query)
