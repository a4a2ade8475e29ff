"""``isoglot experiment``."""

from __future__ import annotations

from typing import Annotated

import typer

from isoglot.cli.options import ConfigPath, Output, Overrides

__all__ = ["experiment"]


def experiment(
    config: ConfigPath,
    output: Output,
    overrides: Overrides = None,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL,LABEL", help="Work on these regimes and variants, and compare nothing."
        ),
    ] = None,
) -> None:
    """Train, correct and evaluate a grid of encoders, methods and seeds, and compare them.

    What is complete is skipped, so an interrupted experiment is started again with the same line.
    """
    from isoglot.config.experiment import ExperimentConfig
    from isoglot.config.loading import load_config
    from isoglot.experiment import run_experiment

    resolved = load_config(ExperimentConfig, config, overrides or ())
    labels = [label.strip() for label in only.split(",")] if only is not None else []
    for comparison in run_experiment(resolved, output, report=typer.echo, only=labels):
        typer.echo(comparison.table().to_text())
    typer.echo(f"results: {output}")
