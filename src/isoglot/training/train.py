"""A training run: model, plan and loss joined, and a run folder written.

What is written when is in ``run_folder.py``. What is scored on the development set is handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainingArguments

from isoglot.batches.census import available_rows, count_batches
from isoglot.config.schema import TrainConfig, TrainingConfig
from isoglot.errors import ArtifactError
from isoglot.models.adapters import attach_adapter, has_adapter, merge_adapter, weight_counts
from isoglot.models.loading import load_encoder
from isoglot.training.checks import (
    check_dims,
    check_encoder,
    check_parallels,
    check_trackers,
)
from isoglot.training.inputs.build import build_collator
from isoglot.training.inputs.collate import Collate, PlannedBatches
from isoglot.training.inputs.teacher import load_teacher
from isoglot.training.loop.arguments import training_arguments
from isoglot.training.loop.checkpoints import last_intact, remove_newer
from isoglot.training.loop.processes import current_process, from_first, is_first, wait_for_all
from isoglot.training.loop.sharding import (
    ShardedTrainer,
    check_resumable,
    equal_parts,
    is_sharded,
    sharded_arguments,
)
from isoglot.training.loop.trainer import PlannedTrainer
from isoglot.training.loop.writing import complete_or_gone
from isoglot.training.objective import Objective
from isoglot.training.objectives.terms import token_objectives
from isoglot.training.prepared import Prepared, Report
from isoglot.training.run_folder import RunFolder, claim_run

__all__ = ["fit", "start", "train"]

_DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def train(config: TrainConfig, prepared: Prepared, folder: Path, report: Report) -> Path:
    """Train an encoder into a run folder, or go on with an unfinished run of the same config.

    Args:
        config: The resolved config.
        prepared: Batches, development score and audit.
        folder: The run folder; nothing is written to it if the run cannot be started.
        report: Takes lines for the reader.

    Returns:
        The folder of the trained model.

    Raises:
        ArtifactError: If the folder holds a complete run, or one of another config or other data.
        ConfigError: If this machine cannot train as the config says.
        DataError: If the data cannot fill the batches.
        ModelError: If the encoder cannot be loaded.
        TrainingError: If the loss explodes.
    """
    run = claim_run(folder, config)
    model = load_encoder(config.model)
    model.float()  # one that comes in half precision would lose small steps to rounding
    check_encoder(model, config.model)
    model.similarity_fn_name = "cosine"  # what the loss optimises, whatever the encoder came with
    if config.model.lora is not None:
        attach_adapter(model, config.model.lora, config.training.seed)
        trained, weights = weight_counts(model)
        report(f"training {trained:,} of {weights:,} weights ({trained / weights:.1%})")
    sharded = is_sharded(config, report)
    training = equal_parts(config.training) if sharded else config.training
    collate = build_collator(model, prepared.plan.table, training)
    trainer = start(model, collate, prepared, run, training, report, sharded=sharded)
    fit(trainer, run, _save, report)
    return run.model


def start(
    model: SentenceTransformer,
    collate: Collate,
    prepared: Prepared,
    run: RunFolder,
    training: TrainingConfig,
    report: Report,
    *,
    sharded: bool,
) -> PlannedTrainer:
    """Make all that a run needs and then, when nothing can fail any more, open its folder.

    Args:
        model: The encoder to train.
        collate: Turns rows of a batch into inputs.
        prepared: Batches, development score and audit.
        run: The folder; its config says how to train.
        training: The same section of the config, as the processes follow it.
        report: Takes lines for the reader.
        sharded: Whether several processes hold the weights in parts.

    Raises:
        ArtifactError: If the folder cannot be written.
        ConfigError: If this machine cannot train as the config says.
        DataError: If the data cannot fill the batches.
        ModelError: If a teacher cannot be loaded.
    """
    plan, config = prepared.plan, run.config
    arguments = training_arguments(
        config.training,
        config.development,
        precision=run.precision,
        folder=run.checkpoints,
        sharding=sharded_arguments(model) if sharded else {},
    )
    process = current_process(plan.config.size)
    check_dims(model, config.loss)
    count = config.training.steps * config.training.gradient_accumulation
    drawn = count_batches(plan, range(count))
    check_parallels(config.loss, drawn)
    check_trackers(config.training.report_to)
    tokens = token_objectives(model, plan.table, config.loss, training, collate, report)
    # The last, because it may take as long as a training.
    teacher = load_teacher(model, plan.table, config.loss.distillation, report)
    trainer = _build_trainer(
        ShardedTrainer if sharded else PlannedTrainer,
        arguments,
        model=model,
        batches=PlannedBatches(
            plan, collate, count, process, loss=config.loss, teacher=teacher, tokens=tokens
        ),
        objective=Objective(model, config.loss, _DTYPES[run.precision], process, tokens),
        cached=config.training.mini_batch_size is not None,
        score=prepared.score,
    )
    if is_first():
        census = {
            "available": available_rows(plan),
            "dropped_for_development": prepared.dropped,
            "drawn": drawn,
        }
        run.open(census, prepared.audit)
    wait_for_all()
    return trainer


def fit(
    trainer: PlannedTrainer,
    run: RunFolder,
    save: Callable[[SentenceTransformer, Path], object],
    report: Report,
) -> None:
    """Train from the last intact checkpoint in the folder, if there is one; save and close the run.

    Args:
        trainer: What ``start`` has made.
        run: The folder.
        save: Saves the trained model into a folder.
        report: Takes lines for the reader.

    Raises:
        ArtifactError: If something cannot be written.
        TrainingError: If the loss explodes.
    """
    last = from_first(_usable(run.checkpoints, report) if is_first() else None)
    if last is not None:
        check_resumable(last, sharded=isinstance(trainer, ShardedTrainer))
        report(f"going on from {last}")
    trainer.resume(last)
    wait_for_all()  # until the others have read the best checkpoint
    model = trainer.whole_model()  # all processes have a part in it
    if is_first():
        with complete_or_gone(run.model):
            save(model, run.model)
        run.close(trainer.state.log_history, _selection(trainer), trainer.meter.total())
    wait_for_all()


def _usable(checkpoints: Path, report: Report) -> Path | None:
    """Return the checkpoint to go on from; newer ones are damaged and not to be counted."""
    last = last_intact(checkpoints, report)
    remove_newer(checkpoints, last)
    return last


def _selection(trainer: PlannedTrainer) -> dict[str, Any]:
    """Return what was selected: best step and score, where a development set was scored."""
    return {
        "steps": trainer.state.global_step,
        "best_step": trainer.state.best_global_step,
        "best_score": trainer.state.best_metric,
    }


def _save(model: SentenceTransformer, folder: Path) -> None:
    if has_adapter(model):
        merge_adapter(model)
    model.save_pretrained(str(folder))


def _build_trainer(
    kind: type[PlannedTrainer], arguments: SentenceTransformerTrainingArguments, **kwargs: Any
) -> PlannedTrainer:
    """Build the trainer, which makes the folder of its checkpoints.

    Raises:
        ArtifactError: If the folder cannot be made.
    """
    try:
        return kind(args=arguments, **kwargs)
    except OSError as error:
        folder = Path(arguments.output_dir).parent
        raise ArtifactError(
            f"{folder}: cannot be used as an output folder ({error.strerror or error})"
        ) from error
