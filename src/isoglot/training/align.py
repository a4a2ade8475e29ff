"""Alignment: train a static encoder from nothing on translations.

The data are groups whose query and passage are the same sentence. Cross-lingual batches then are
translation pairs, and monolingual ones two crops of a sentence; plan, loss and trainer are those of
any other training.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from isoglot.artifacts import write_text
from isoglot.batches.plan import BatchPlan
from isoglot.config.schema import AlignConfig
from isoglot.data.parallel import ABSENT, ParallelTable
from isoglot.models.static import (
    WeightedStaticEmbedding,
    build_static_encoder,
    learn_subwords,
)
from isoglot.training.collate import TokenCollator, TokenStore
from isoglot.training.run_folder import claim_run
from isoglot.training.train import Fit, fit, start
from isoglot.training.trainer import DevelopmentScore

__all__ = ["align"]


def align(
    config: AlignConfig,
    plan: BatchPlan,
    score: DevelopmentScore | None,
    folder: Path,
    *,
    dropped: int = 0,
) -> Path:
    """Learn subwords and their vectors into a run folder.

    Args:
        config: The resolved config.
        plan: The batches, drawn from the translations.
        score: Scores the model on the development set.
        folder: The run folder; nothing is written to it if the run cannot be started.
        dropped: Groups left out for the development set, for the census.

    Returns:
        The folder of the trained model.

    Raises:
        ArtifactError: If the folder holds a complete run, or one of another config or other data.
        ConfigError: If this machine cannot train as the config says.
        DataError: If the vocabulary is too small for the texts.
    """
    run = claim_run(folder, config)
    stored = folder / "tokenizer.json"
    tokenizer = (
        Tokenizer.from_file(str(stored))  # of an interrupted run
        if stored.is_file()
        else _learn_subwords(config, plan.table)
    )
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
    trainer = start(job, run, dropped)
    write_text(stored, tokenizer.to_str())
    selection = fit(trainer, run)
    _folded(model).save_pretrained(str(folder / "model"))
    run.close(selection)
    return folder / "model"


def _learn_subwords(config: AlignConfig, table: ParallelTable) -> Tokenizer:
    texts = _balanced_texts(table, config.model.sentences_per_language, config.training.seed)
    return learn_subwords(texts, config.model.vocabulary)


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
