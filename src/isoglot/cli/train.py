"""``isoglot train``."""

from __future__ import annotations

import typer

from isoglot.cli.batches import DryRun, RunOutput, ShowBatch, looked_at
from isoglot.cli.options import ConfigPath, Overrides, tell
from isoglot.progress import is_first_process

__all__ = ["train"]


def train(
    config: ConfigPath,
    output: RunOutput = None,
    overrides: Overrides = None,
    dry_run: DryRun = False,
    show_batch: ShowBatch = None,
) -> None:
    """Train an encoder on monolingual, cross-lingual or hybrid batches.

    A run that was interrupted goes on where its last checkpoint is. Start it under torchrun to
    train on several GPUs.
    """
    from isoglot.config.loading import load_config
    from isoglot.config.schema import TrainConfig
    from isoglot.errors import ConfigError

    resolved = load_config(TrainConfig, config, overrides or ())
    if looked_at(resolved, dry_run, show_batch):
        return
    if output is None:
        raise ConfigError("--output is missing; name the folder of the run")
    from isoglot.pipeline.training import run_training

    model = run_training(resolved, output, tell)
    if is_first_process():
        typer.echo(f"model: {model}")
