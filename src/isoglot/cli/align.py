"""``isoglot align``."""

from __future__ import annotations

import typer

from isoglot.cli.batches import DryRun, RunOutput, ShowBatch, looked_at
from isoglot.cli.options import ConfigPath, Overrides, tell
from isoglot.progress import is_first_process

__all__ = ["align"]


def align(
    config: ConfigPath,
    output: RunOutput = None,
    overrides: Overrides = None,
    dry_run: DryRun = False,
    show_batch: ShowBatch = None,
) -> None:
    """Train a static encoder from nothing on translations."""
    from isoglot.config.loading import load_config
    from isoglot.config.schema import AlignConfig
    from isoglot.errors import ConfigError

    resolved = load_config(AlignConfig, config, overrides or ())
    if looked_at(resolved, dry_run, show_batch):
        return
    if output is None:
        raise ConfigError("--output is missing; name the folder of the run")
    from isoglot.pipeline.training import run_alignment

    model = run_alignment(resolved, output, tell)
    if is_first_process():
        typer.echo(f"model: {model}")
