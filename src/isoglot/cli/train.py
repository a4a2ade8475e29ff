"""``isoglot train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isoglot.cli.options import ConfigPath, Overrides, tell

if TYPE_CHECKING:
    from isoglot.config.schema import TrainConfig

__all__ = ["train"]


def train(
    config: ConfigPath,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder to write.")] = None,
    overrides: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the census of the batches; train nothing.")
    ] = False,
    show_batch: Annotated[
        int | None, typer.Option("--show-batch", min=0, help="Print batch N; train nothing.")
    ] = None,
) -> None:
    """Train an encoder on monolingual, cross-lingual or hybrid batches.

    A run that was interrupted goes on where its last checkpoint is.
    """
    from isoglot.config.loading import load_config
    from isoglot.config.schema import TrainConfig
    from isoglot.errors import ConfigError

    resolved = load_config(TrainConfig, config, overrides or ())
    if dry_run:
        _print_census(resolved)
    elif show_batch is not None:
        _print_batch(resolved, show_batch)
    elif output is None:
        raise ConfigError("--output is missing; name the folder of the run")
    else:
        from isoglot.pipeline.training import run_training

        typer.echo(f"model: {run_training(resolved, output, tell)}")


def _print_census(config: TrainConfig) -> None:
    from isoglot.batches.census import available_rows, count_batches
    from isoglot.pipeline.training import plan_batches
    from isoglot.reporting.census import census_text

    plan = plan_batches(config)
    count = config.training.steps * config.training.gradient_accumulation
    typer.echo(census_text(available_rows(plan), count_batches(plan, range(count))))


def _print_batch(config: TrainConfig, index: int) -> None:
    from isoglot.pipeline.training import plan_batches
    from isoglot.reporting.census import batch_text

    plan = plan_batches(config)
    typer.echo(batch_text(plan.table, plan.batch(index)))
