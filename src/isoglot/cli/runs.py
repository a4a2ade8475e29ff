"""What ``train`` and ``align`` share: looking at batches without training, or a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from isoglot.cli.options import tell
from isoglot.progress import is_first_process

if TYPE_CHECKING:
    from isoglot.config.schema import AuditedConfig

__all__ = ["DryRun", "RunOutput", "ShowBatch", "look_or_run"]

ConfigT = TypeVar("ConfigT", bound="AuditedConfig")

RunOutput = Annotated[Path | None, typer.Option("--output", "-o", help="Folder to write.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the census of the batches; train nothing.")
]
ShowBatch = Annotated[
    int | None, typer.Option("--show-batch", min=0, help="Print batch N; train nothing.")
]


def look_or_run(
    config: ConfigT,
    run: Callable[[ConfigT, Path, Callable[[str], object]], Path],
    output: Path | None,
    *,
    dry_run: bool,
    show_batch: int | None,
) -> None:
    """Print the census, or a batch, if that is asked for; otherwise train.

    Args:
        config: The resolved config.
        run: Trains into a folder, and takes what prints lines for the reader.
        output: The folder.
        dry_run: Whether to print the census.
        show_batch: A batch to print.

    Raises:
        IsoglotError: If the folder is not named, or the run cannot be made.
    """
    if dry_run or show_batch is not None:
        _look(config, show_batch)
        return
    from isoglot.errors import ConfigError

    if output is None:
        raise ConfigError("--output is missing; name the folder of the run")
    model = run(config, output, tell)
    if is_first_process():
        typer.echo(f"model: {model}")


def _look(config: AuditedConfig, show_batch: int | None) -> None:
    """Print a batch, or the census."""
    from isoglot.batches.census import available_rows, count_batches
    from isoglot.pipeline.training import plan_batches
    from isoglot.reporting.census import batch_text, census_text

    plan = plan_batches(config)
    if not is_first_process():
        return
    if show_batch is not None:
        typer.echo(batch_text(plan.table, plan.batch(show_batch)))
        return
    count = config.training.steps * config.training.gradient_accumulation
    typer.echo(census_text(available_rows(plan), count_batches(plan, range(count))))
