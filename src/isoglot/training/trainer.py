"""The sentence-transformers trainer, fed with planned batches.

Little differs from the stock trainer: batches come from the plan, the development score is a
function handed in, progress has a rate and a time left, and nothing is pickled beside the model.
Checkpoints, schedules, precision and trackers are the ecosystem's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.evaluation import BaseEvaluator
from sentence_transformers.util import get_device_name
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler
from transformers import PrinterCallback

from isoglot.config.schema import DevelopmentConfig, TrainingConfig
from isoglot.errors import ArtifactError, ConfigError
from isoglot.training.collate import Inputs, PlannedBatches
from isoglot.training.precision import resolve_precision
from isoglot.training.progress import ProgressBar

__all__ = ["DevelopmentScore", "PlannedTrainer", "build_trainer", "training_arguments"]

DevelopmentScore = Callable[[SentenceTransformer], Mapping[str, float]]
"""Scores a model on the development set; the value under ``score`` selects the checkpoint."""


class PlannedTrainer(SentenceTransformerTrainer):
    """Trains on ``PlannedBatches``; step s of the run uses the batches s * accumulation onward.

    The run is one epoch of as many batches as it needs, so a resumed run skips to the batch of its
    step without drawing the ones before.
    """

    def __init__(self, *, batches: PlannedBatches, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._batches = batches
        self.remove_callback(PrinterCallback)
        self.add_callback(ProgressBar)

    def get_train_dataloader(self) -> DataLoader[Inputs]:
        """Return a loader whose batch i is planned batch i."""
        # A loader "batch" of one index each: the trainer can then skip indices when it resumes.
        indices = BatchSampler(SequentialSampler(self._batches), batch_size=1, drop_last=False)
        return DataLoader(
            self._batches,
            batch_sampler=indices,
            collate_fn=_only,
            num_workers=self.args.dataloader_num_workers,
            persistent_workers=self.args.dataloader_num_workers > 0,
        )

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        super()._save(output_dir, state_dict)
        # The stock trainer pickles its arguments beside the model; our config is stored as YAML.
        Path(output_dir or self.args.output_dir, "training_args.bin").unlink(missing_ok=True)

    def _load_best_model(self) -> None:
        # The stock trainer only logs a failure and goes on with the last weights.
        self._load_from_checkpoint(self.state.best_model_checkpoint)


class DevelopmentEvaluator(BaseEvaluator):
    """Hands the trainer's model to the development score."""

    def __init__(self, score: DevelopmentScore) -> None:
        super().__init__()
        self._score = score

    def __call__(
        self,
        model: SentenceTransformer,
        output_path: str | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Return the scores; nothing is written."""
        return dict(self._score(model))


def build_trainer(
    model: SentenceTransformer,
    arguments: SentenceTransformerTrainingArguments,
    batches: PlannedBatches,
    loss: nn.Module,
    score: DevelopmentScore | None,
) -> PlannedTrainer:
    """Build the trainer, which makes the folder of its checkpoints.

    Raises:
        ArtifactError: If the folder cannot be made.
        ConfigError: If a tracker is unknown or not installed.
    """
    try:
        return PlannedTrainer(
            model=model,
            args=arguments,
            batches=batches,
            loss=loss,
            evaluator=DevelopmentEvaluator(score) if score is not None else None,
        )
    except OSError as error:
        folder = Path(arguments.output_dir).parent
        raise ArtifactError(
            f"{folder}: cannot be used as an output folder ({error.strerror or error})"
        ) from error
    except (ImportError, RuntimeError, ValueError) as error:
        if not arguments.report_to:
            raise
        reason = " ".join(str(error).split())
        trackers = ", ".join(arguments.report_to)
        raise ConfigError(f"training.report_to: cannot report to {trackers} ({reason})") from error


def training_arguments(
    training: TrainingConfig, development: DevelopmentConfig, *, batch_size: int, folder: Path
) -> SentenceTransformerTrainingArguments:
    """Translate our config to the trainer's.

    Args:
        training: The optimisation.
        development: When to score; no scoring if it holds out nothing and names no file.
        batch_size: Rows of a batch, for the trainer's own accounting.
        folder: Where checkpoints go.

    Raises:
        ConfigError: If this machine cannot train in the precision.
    """
    training = resolve_precision(training)
    on_cpu = get_device_name() == "cpu"
    scored = development.groups > 0 or development.path is not None
    every = development.every or max(1, training.steps // 10)
    return SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        max_steps=training.steps,
        per_device_train_batch_size=batch_size,
        gradient_accumulation_steps=training.gradient_accumulation,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        warmup_steps=round(training.warmup_share * training.steps),
        lr_scheduler_type=training.schedule,
        use_cpu=on_cpu,  # without it, bf16 is refused where there is no GPU
        bf16=training.precision == "bf16",
        fp16=training.precision == "fp16",
        seed=training.seed,
        data_seed=training.seed,
        logging_steps=training.log_every,
        eval_strategy="steps" if scored else "no",
        eval_steps=every if scored else None,
        save_strategy="steps",
        # The best checkpoint can only be kept if there is one wherever the model is scored.
        save_steps=every,
        save_total_limit=2,
        load_best_model_at_end=scored,
        metric_for_best_model="eval_score" if scored else None,
        greater_is_better=True if scored else None,
        dataloader_num_workers=training.workers,
        report_to=list(training.report_to) or "none",
        disable_tqdm=True,  # for ours
    )


def _only(items: list[Inputs]) -> Inputs:
    return items[0]
