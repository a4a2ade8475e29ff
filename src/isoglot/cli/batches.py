"""Looking at the batches of a config without training: shared by ``train`` and ``align``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isoglot.progress import is_first_process

if TYPE_CHECKING:
    from isoglot.config.schema import AuditedConfig

__all__ = ["DryRun", "RunOutput", "ShowBatch", "looked_at"]

RunOutput = Annotated[Path | None, typer.Option("--output", "-o", help="Folder to write.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the census of the batches; train nothing.")
]
ShowBatch = Annotated[
    int | None, typer.Option("--show-batch", min=0, help="Print batch N; train nothing.")
]


def looked_at(config: AuditedConfig, dry_run: bool, show_batch: int | None) -> bool:
    """Print the census, or a batch, if that is asked for; say whether it was."""
    if not dry_run and show_batch is None:
        return False
    from isoglot.batches.census import available_rows, count_batches
    from isoglot.pipeline.training import plan_batches
    from isoglot.reporting.census import batch_text, census_text

    plan = plan_batches(config)
    if not is_first_process():
        return True
    if show_batch is not None:
        typer.echo(batch_text(plan.table, plan.batch(show_batch)))
    else:
        count = config.training.steps * config.training.gradient_accumulation
        typer.echo(census_text(available_rows(plan), count_batches(plan, range(count))))
    return True
