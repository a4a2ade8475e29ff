"""Alignment: train a static encoder from nothing on translations.

The data are groups whose query and passage are the same sentence. Cross-lingual batches then are
translation pairs, and monolingual ones two crops of a sentence; plan, loss and trainer are those of
any other training.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from isoglot.batches.plan import BatchPlan
from isoglot.config.schema import AlignConfig
from isoglot.data.parallel import ABSENT, ParallelTable
from isoglot.models.static import (
    WeightedStaticEmbedding,
    build_static_encoder,
    learn_subwords,
)
from isoglot.training.collate import TokenCollator, TokenStore
from isoglot.training.train import Fit, close_run, fit, open_run, write_census
from isoglot.training.trainer import DevelopmentScore

__all__ = ["align"]


def align(
    config: AlignConfig, plan: BatchPlan, score: DevelopmentScore | None, folder: Path
) -> Path:
    """Learn subwords and their vectors into a run folder.

    Args:
        config: The resolved config.
        plan: The batches, drawn from the translations.
        score: Scores the model on the development set.
        folder: The run folder.

    Returns:
        The folder of the trained model.

    Raises:
        ArtifactError: If the folder holds a complete run or one of another config.
        DataError: If the vocabulary is too small for the texts.
    """
    started = time.monotonic()
    open_run(folder, config)
    write_census(plan, config.training, folder)
    tokenizer = _subwords(config, plan.table, folder)
    store = TokenStore(tokenizer, plan.table)
    frequencies = torch.from_numpy(store.frequencies(tokenizer.get_vocab_size()))
    model = build_static_encoder(tokenizer, frequencies, config.model.dim, config.training.seed)
    collate = TokenCollator(
        store,
        token_dropout=config.token_dropout,
        crop=config.crop,
        seed=config.training.seed,
    )
    job = Fit(model, plan, collate, config.loss, config.training, config.development, score)
    selection = fit(job, folder)
    _folded(model).save_pretrained(str(folder / "model"))
    close_run(folder, config.data, {"training": config.training.seed}, selection, started)
    return folder / "model"


def _subwords(config: AlignConfig, table: ParallelTable, folder: Path) -> Tokenizer:
    """Learn the subwords, or read them where an interrupted run has left them."""
    path = folder / "tokenizer.json"
    if path.is_file():
        return Tokenizer.from_file(str(path))
    texts = _balanced_texts(table, config.model.sentences_per_language, config.training.seed)
    tokenizer = learn_subwords(texts, config.model.vocabulary)
    partial = path.with_suffix(".partial")
    tokenizer.save(str(partial))
    partial.replace(path)
    return tokenizer


def _balanced_texts(table: ParallelTable, per_language: int, seed: int) -> Iterator[str]:
    """Yield up to ``per_language`` different texts of each language, in random order."""
    rng = np.random.default_rng(seed)
    for lang in range(len(table.langs)):
        rows = np.unique(table.passage[:, lang])
        rows = rng.permutation(rows[rows != ABSENT])[:per_language]
        yield from table.texts.take(rows).to_pylist()


def _folded(model: SentenceTransformer) -> SentenceTransformer:
    """Return the model with the subword weights inside the vectors."""
    module = model[0]
    assert isinstance(module, WeightedStaticEmbedding)
    return SentenceTransformer(modules=[module.folded()], device="cpu")
