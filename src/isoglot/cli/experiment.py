"""``isoglot experiment``."""

from __future__ import annotations

import typer

from isoglot.cli.options import ConfigPath, Output, Overrides

__all__ = ["experiment"]


def experiment(config: ConfigPath, output: Output, overrides: Overrides = None) -> None:
    """Train and evaluate a grid of encoders, regimes and seeds, and compare them.

    What is complete is skipped, so an interrupted experiment is started again with the same line.
    """
    from isoglot.config.experiment import ExperimentConfig
    from isoglot.config.loading import load_config
    from isoglot.experiment import run_experiment

    resolved = load_config(ExperimentConfig, config, overrides or ())
    for comparison in run_experiment(resolved, output, report=typer.echo):
        typer.echo(comparison.table().to_text())
    typer.echo(f"results: {output}")
