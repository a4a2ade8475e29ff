"""``isoglot align``."""

from __future__ import annotations

import typer

from isoglot.cli.options import ConfigPath, Output, Overrides, tell

__all__ = ["align"]


def align(config: ConfigPath, output: Output, overrides: Overrides = None) -> None:
    """Train a static encoder from nothing on translations."""
    from isoglot.config.loading import load_config
    from isoglot.config.schema import AlignConfig
    from isoglot.pipeline.training import run_alignment

    model = run_alignment(load_config(AlignConfig, config, overrides or ()), output, tell)
    typer.echo(f"model: {model}")
