"""A training run: model, plan and loss joined, and a run folder written.

The folder holds ``config.yaml``, ``data.json`` and ``census.json`` first, ``checkpoints/`` while it
runs, then ``model/`` (a plain sentence-transformers folder), ``log.json`` and ``provenance.json``,
and the completion marker last. What is scored on the development set is handed in.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer

from isoglot.artifacts import write_json
from isoglot.batches.census import available_rows, count_batches
from isoglot.batches.plan import Batch
from isoglot.config.schema import TrainConfig
from isoglot.errors import ConfigError
from isoglot.models.loading import load_encoder
from isoglot.training.collate import Inputs, PlannedBatches, TextCollator
from isoglot.training.losses import InfoNCELoss
from isoglot.training.prepared import Prepared
from isoglot.training.run_folder import RunFolder, claim_run
from isoglot.training.trainer import PlannedTrainer, build_trainer, training_arguments

__all__ = ["fit", "start", "train"]


def train(config: TrainConfig, prepared: Prepared, folder: Path) -> Path:
    """Train an encoder into a run folder, or go on with an unfinished run of the same config.

    Args:
        config: The resolved config.
        prepared: Batches, development score and audit.
        folder: The run folder; nothing is written to it if the run cannot be started.

    Returns:
        The folder of the trained model.

    Raises:
        ArtifactError: If the folder holds a complete run, or one of another config or other data.
        ConfigError: If this machine cannot train as the config says.
        DataError: If the data cannot fill the batches.
        ModelError: If the encoder cannot be loaded.
    """
    run = claim_run(folder, config)
    model = load_encoder(config.model)
    model.similarity_fn_name = "cosine"  # what the loss optimises, whatever the encoder came with
    trainer = start(model, TextCollator(model, prepared.plan.table), prepared, run)
    selection = fit(trainer, run)
    model.save_pretrained(str(folder / "model"))
    run.close(selection)
    return folder / "model"


def start(
    model: SentenceTransformer,
    collate: Callable[[Batch], Inputs],
    prepared: Prepared,
    run: RunFolder,
) -> PlannedTrainer:
    """Make all that a run needs and then, when nothing can fail any more, open its folder.

    Args:
        model: The encoder to train.
        collate: Turns a batch into its inputs.
        prepared: Batches, development score and audit.
        run: The folder; its config says how to train.

    Raises:
        ArtifactError: If the folder cannot be written.
        ConfigError: If this machine cannot train as the config says.
        DataError: If the data cannot fill the batches.
    """
    plan, config = prepared.plan, run.config
    arguments = training_arguments(
        config.training,
        config.development,
        batch_size=plan.config.size,
        folder=run.checkpoints,
    )
    _refuse_several_devices(arguments.world_size, arguments.n_gpu)
    count = config.training.steps * config.training.gradient_accumulation
    census = {
        "available": available_rows(plan),
        "dropped_for_development": prepared.dropped,
        "drawn": count_batches(plan, range(count)),
    }
    trainer = build_trainer(
        model,
        arguments,
        PlannedBatches(plan, collate, count),
        InfoNCELoss(model, config.loss.temperature, config.loss.negatives),
        prepared.score,
    )
    run.open(census, prepared.audit)
    return trainer


def fit(trainer: PlannedTrainer, run: RunFolder) -> dict[str, Any]:
    """Run the optimisation, from the last complete checkpoint in the folder if there is one.

    Returns:
        What was selected: best step and score, where a development set was scored.
    """
    last = _last_checkpoint(run.checkpoints)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    write_json(run.path / "log.json", trainer.state.log_history)
    return {
        "steps": trainer.state.global_step,
        "best_step": trainer.state.best_global_step,
        "best_score": trainer.state.best_metric,
    }


def _refuse_several_devices(processes: int, gpus: int) -> None:
    """Refuse what would silently train every process on the same batches, or split a batch.

    Raises:
        ConfigError: If there is more than one process, or more than one GPU in this one.
    """
    if processes > 1 or gpus > 1:
        raise ConfigError(
            f"training runs on one device, found {processes} processes and {gpus} GPUs; start one "
            "process, with CUDA_VISIBLE_DEVICES naming one GPU"
        )


def _last_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint whose state, written last, is there."""
    found = [path.parent for path in folder.glob("checkpoint-*/trainer_state.json")]
    return max(found, key=lambda path: int(path.name.rsplit("-", 1)[1]), default=None)
