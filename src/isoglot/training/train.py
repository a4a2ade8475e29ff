"""A training run: model, plan and loss joined, and a run folder written.

The folder holds ``config.yaml`` and ``census.json`` first, ``checkpoints/`` while it runs, then
``model/`` (a plain sentence-transformers folder), ``log.json`` and ``provenance.json``, and the
completion marker last. What is scored on the development set is handed in.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformer

from isoglot.artifacts import (
    file_sha256,
    mark_complete,
    prepare_folder,
    provenance,
    read_yaml,
    refuse_complete,
    write_json,
    write_yaml,
)
from isoglot.batches.census import available_rows, count_batches
from isoglot.batches.plan import Batch, BatchPlan
from isoglot.config.loading import StrictModel
from isoglot.config.schema import (
    DevelopmentConfig,
    LossConfig,
    SourceConfig,
    TrainConfig,
    TrainingConfig,
)
from isoglot.errors import ArtifactError, ConfigError
from isoglot.models.loading import load_encoder
from isoglot.training.collate import Inputs, PlannedBatches, TextCollator
from isoglot.training.losses import InfoNCELoss
from isoglot.training.trainer import (
    DevelopmentEvaluator,
    DevelopmentScore,
    PlannedTrainer,
    training_arguments,
)

__all__ = ["Fit", "fit", "open_run", "train", "write_census"]


@dataclass(frozen=True)
class Fit:
    """Everything that one optimisation needs."""

    model: SentenceTransformer
    plan: BatchPlan
    collate: Callable[[Batch], Inputs]
    loss: LossConfig
    training: TrainingConfig
    development: DevelopmentConfig
    score: DevelopmentScore | None


def train(
    config: TrainConfig, plan: BatchPlan, score: DevelopmentScore | None, folder: Path
) -> Path:
    """Train an encoder into a run folder, or go on with an unfinished run of the same config.

    Args:
        config: The resolved config.
        plan: The batches, drawn from the training groups.
        score: Scores the model on the development set.
        folder: The run folder.

    Returns:
        The folder of the trained model.

    Raises:
        ArtifactError: If the folder holds a complete run or one of another config.
        ModelError: If the encoder cannot be loaded.
    """
    started = time.monotonic()
    model = load_encoder(config.model)
    open_run(folder, config)
    write_census(plan, config.training, folder)
    fitted = Fit(
        model=model,
        plan=plan,
        collate=TextCollator(model, plan.table),
        loss=config.loss,
        training=config.training,
        development=config.development,
        score=score,
    )
    selection = fit(fitted, folder)
    model.save_pretrained(str(folder / "model"))
    close_run(folder, config.data, {"training": config.training.seed}, selection, started)
    return folder / "model"


def fit(job: Fit, folder: Path) -> dict[str, Any]:
    """Run the optimisation, from the last complete checkpoint in the folder if there is one.

    Returns:
        What was selected: best step and score, where a development set was scored.

    Raises:
        ConfigError: If there is more than one process or GPU.
    """
    checkpoints = folder / "checkpoints"
    arguments = training_arguments(
        job.training,
        job.development,
        batch_size=job.plan.config.size,
        folder=checkpoints,
    )
    _refuse_several_devices(arguments.world_size, arguments.n_gpu)
    count = job.training.steps * job.training.gradient_accumulation
    trainer = PlannedTrainer(
        model=job.model,
        args=arguments,
        batches=PlannedBatches(job.plan, job.collate, count),
        loss=InfoNCELoss(job.model, job.loss.temperature, job.loss.negatives),
        evaluator=DevelopmentEvaluator(job.score) if job.score is not None else None,
    )
    last = _last_checkpoint(checkpoints)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    write_json(folder / "log.json", trainer.state.log_history)
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


def open_run(folder: Path, config: StrictModel) -> None:
    """Start a run folder with its config, or check that an unfinished one has the same config.

    Raises:
        ArtifactError: If the folder holds a complete run or one of another config.
    """
    values = config.model_dump(mode="json")
    path = folder / "config.yaml"
    refuse_complete(folder, "delete the folder")
    if path.is_file():
        if read_yaml(path) != values:
            raise ArtifactError(
                f"{folder}: holds an unfinished run of another config; choose another --output or "
                "delete the folder"
            )
    prepare_folder(folder)
    write_yaml(path, values)


def write_census(plan: BatchPlan, training: TrainingConfig, folder: Path) -> dict[str, Any]:
    """Write and return what the run can draw and what its batches hold."""
    count = training.steps * training.gradient_accumulation
    census = {"available": available_rows(plan), "drawn": count_batches(plan, range(count))}
    write_json(folder / "census.json", census)
    return census


def close_run(
    folder: Path,
    data: tuple[SourceConfig, ...],
    seeds: Mapping[str, int],
    selection: Mapping[str, Any],
    started: float,
) -> None:
    """Write provenance and completion marker, and drop the checkpoints."""
    hashes = {
        source.label: file_sha256(Path(source.path))
        for source in data
        if Path(source.path).is_file()
    }
    record = provenance(seeds=seeds, data=hashes)
    record["selection"] = dict(selection)
    record["seconds"] = round(time.monotonic() - started, 1)
    write_json(folder / "provenance.json", record)
    mark_complete(folder)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)


def _last_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint whose state, written last, is there."""
    found = [path.parent for path in folder.glob("checkpoint-*/trainer_state.json")]
    return max(found, key=lambda path: int(path.name.rsplit("-", 1)[1]), default=None)
