"""``isoglot card``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["card"]


def card(
    results: Annotated[
        Path, typer.Argument(metavar="OUT", help="Output of isoglot evaluate.", show_default=False)
    ],
    model: Annotated[
        Path, typer.Option("--model", "-m", help="Folder of the model, or the run that trained it.")
    ],
) -> None:
    """Write an evaluation into the model's card, for the Hugging Face hub and for readers.

    Results of the same benchmark are replaced; the rest of the card is left as it is.
    """
    from isoglot.integrations.card import write_card

    typer.echo(f"card: {write_card(results, model)}")
