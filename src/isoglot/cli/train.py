"""``isoglot train``."""

from __future__ import annotations

from isoglot.cli.options import ConfigPath, Overrides
from isoglot.cli.runs import DryRun, RunOutput, ShowBatch, look_or_run

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
    from isoglot.pipeline.training import run_training

    resolved = load_config(TrainConfig, config, overrides or ())
    look_or_run(resolved, run_training, output, dry_run=dry_run, show_batch=show_batch)
