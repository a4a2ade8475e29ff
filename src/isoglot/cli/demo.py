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
) -> None:
    """Train the three regimes on a small embedded collection and compare them, in a minute."""
    from isoglot.demo import run_demo

    run_demo(output, report=typer.echo)
