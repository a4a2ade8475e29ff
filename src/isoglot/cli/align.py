"""``isoglot align``."""

from __future__ import annotations

from isoglot.cli.options import ConfigPath, Overrides
from isoglot.cli.runs import DryRun, RunOutput, ShowBatch, look_or_run

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
    from isoglot.pipeline.training import run_alignment

    resolved = load_config(AlignConfig, config, overrides or ())
    look_or_run(resolved, run_alignment, output, dry_run=dry_run, show_batch=show_batch)
