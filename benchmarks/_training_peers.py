"""How sentence-transformers trains, for ``benchmarks.training``: as its users would call it."""

from __future__ import annotations

import tempfile
from typing import Any

from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.sampler import DefaultBatchSampler
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from torch.utils.data import SequentialSampler
from transformers import PrinterCallback

from benchmarks._training_cases import Case, Clock, Padding, Trained, planned_pairs, train_config
from isoglot.models.loading import load_encoder

__all__ = ["train_with_sentence_transformers"]


def train_with_sentence_transformers(case: Case) -> Trained:
    """Train on the same pairs in the same batches, with the same loss and optimizer.

    All that is not the same by necessity is the library's default: texts are tokenized when a batch
    needs them, each column padded to its longest text.
    """
    training = train_config(case).training
    anchors, positives = zip(*planned_pairs(case), strict=True)
    model: SentenceTransformer = load_encoder(train_config(case).model)
    clock, padding = Clock(), Padding(model)
    with tempfile.TemporaryDirectory(dir=case.folder) as folder:
        trainer = SentenceTransformerTrainer(
            model=model,
            args=SentenceTransformerTrainingArguments(
                output_dir=folder,
                max_steps=case.steps,
                per_device_train_batch_size=case.size,
                learning_rate=training.learning_rate,
                weight_decay=training.weight_decay,
                seed=training.seed,
                batch_sampler=_in_order,
                bf16=case.precision == "bf16",
                use_cpu=model.device.type == "cpu",  # without it, bf16 is refused
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=Dataset.from_dict({"anchor": anchors, "positive": positives}),
            loss=MultipleNegativesRankingLoss(model, scale=20.0),
            callbacks=[clock],
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    loss = float(trainer.state.log_history[-1]["train_loss"])
    return Trained(clock.steps(), loss, padding.share())


def _in_order(dataset: Dataset, **kwargs: Any) -> DefaultBatchSampler:  # noqa: ANN401
    """Leave the pairs as they are, so that a batch has the rows of a planned one."""
    return DefaultBatchSampler(SequentialSampler(dataset), **kwargs)
