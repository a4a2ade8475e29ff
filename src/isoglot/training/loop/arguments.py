"""Our config, translated to the arguments of the ecosystem's trainer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sentence_transformers import SentenceTransformerTrainingArguments
from sentence_transformers.util import get_device_name

from isoglot.config.schema import DevelopmentConfig, TrainingConfig

__all__ = ["training_arguments"]

_SCHEDULES = {
    "linear": "linear",
    "cosine": "cosine",
    "inverse-sqrt": "inverse_sqrt",
    "constant": "constant_with_warmup",  # the library's plain "constant" leaves the warm-up out
}


def training_arguments(
    training: TrainingConfig,
    development: DevelopmentConfig,
    *,
    precision: str,
    folder: Path,
    sharding: Mapping[str, Any],
) -> SentenceTransformerTrainingArguments:
    """Translate our config to the trainer's.

    Args:
        training: The optimisation.
        development: When to score; no scoring if it holds out nothing and names no file.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        folder: Where checkpoints go.
        sharding: What ``sharded_arguments`` gives, or nothing.
    """
    scored = development.groups > 0 or development.path is not None
    every = development.every or -(-training.steps // 10)
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        max_steps=training.steps,
        gradient_accumulation_steps=training.gradient_accumulation,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        warmup_steps=round(training.warmup_share * training.steps),
        lr_scheduler_type=_SCHEDULES[training.schedule],
        use_cpu=get_device_name() == "cpu",  # without it, bf16 is refused where there is no GPU
        bf16=precision == "bf16",
        fp16=precision == "fp16",
        seed=training.seed,
        data_seed=training.seed,
        logging_steps=training.log_every,
        logging_nan_inf_filter=False,  # ours stops the run
        eval_strategy="steps" if scored else "no",
        eval_steps=every if scored else None,
        save_strategy="steps",
        # The best checkpoint can only be kept if there is one wherever the model is scored.
        save_steps=every,
        save_total_limit=None,  # ours removes old ones, when a new one is sealed
        load_best_model_at_end=scored,
        metric_for_best_model="eval_score" if scored else None,
        greater_is_better=True if scored else None,
        dataloader_num_workers=training.workers,
        report_to=list(training.report_to) or "none",
        # Encoders have no buffers that change, and processes may call the encoder unequally often.
        ddp_broadcast_buffers=False,
        disable_tqdm=True,  # for ours
        **sharding,
    )
    # A launcher's environment must not change what the run computes in.
    arguments.mixed_precision = "no" if precision == "fp32" else precision
    return arguments
