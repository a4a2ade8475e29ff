"""Alignment: train a static encoder from nothing on translations.

Most data are groups whose query and passage are the same sentence. Cross-lingual batches then are
translation pairs, and monolingual ones two crops of a sentence; questions with their passages can
be mixed in. Plan, loss and trainer are those of any other training.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer

from isoglot.artifacts import write_text
from isoglot.config.schema import AlignConfig
from isoglot.data.parallel import ABSENT, ParallelTable
from isoglot.data.tokens import tokenize_table
from isoglot.models.compression import reduce_dimensions, store_as_int8
from isoglot.models.static import (
    WeightedStaticEmbedding,
    build_static_encoder,
    learn_subwords,
)
from isoglot.training.inputs.augment import Augmentation
from isoglot.training.inputs.collate import TokenCollator
from isoglot.training.inputs.packing import FlatPacker
from isoglot.training.loop.processes import from_first, is_first
from isoglot.training.loop.sharding import is_sharded
from isoglot.training.prepared import Prepared, Report
from isoglot.training.run_folder import RunFolder, claim_run
from isoglot.training.train import fit, start

__all__ = ["align"]

_TEXTS_FOR_AXES = 2_000
"""Texts per language whose principal components are kept."""


def align(config: AlignConfig, prepared: Prepared, folder: Path, report: Report) -> Path:
    """Learn subwords and their vectors into a run folder.

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
        DataError: If the vocabulary is too small for the texts.
        TrainingError: If the loss explodes.
    """
    run = claim_run(folder, config)
    table = prepared.plan.table
    tokenizer = _subwords(run, table)
    store = tokenize_table(tokenizer, table)
    frequencies = torch.from_numpy(store.frequencies(tokenizer.get_vocab_size()))
    model = build_static_encoder(tokenizer, frequencies, config.model.dim, config.training.seed)
    augmentation = Augmentation(
        token_dropout=config.token_dropout,
        crop=config.crop,
        max_tokens=config.max_tokens,
        seed=config.training.seed,
    )
    packer = FlatPacker(config.training.mini_batch_size)
    sharded = is_sharded(config, report)
    collate = TokenCollator(store, store, packer, augmentation)
    trainer = start(model, collate, prepared, run, config.training, report, sharded=sharded)
    if is_first():
        write_text(run.subwords, tokenizer.to_str())
    fit(trainer, run, partial(_save, config, table), report)
    return run.model


def _subwords(run: RunFolder, table: ParallelTable) -> Tokenizer:
    """Return the subwords of an interrupted run, or learn them; the same in all processes."""
    rules = ""
    if is_first():
        assert isinstance(run.config, AlignConfig), "the run of an alignment"
        if run.continued and run.subwords.is_file():
            tokenizer = Tokenizer.from_file(str(run.subwords))
        else:
            tokenizer = _learn_subwords(run.config, table)
        rules = tokenizer.to_str()
    return Tokenizer.from_str(from_first(rules))


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


def _save(
    config: AlignConfig, table: ParallelTable, model: SentenceTransformer, folder: Path
) -> None:
    """Save the plain encoder: subword weights inside the vectors, as small as the config says."""
    encoder = _folded(model)
    if config.model.saved_dim is not None:
        texts = list(_balanced_texts(table, _TEXTS_FOR_AXES, config.training.seed))
        embeddings = SentenceTransformer(modules=[encoder], device="cpu").encode(
            texts, convert_to_tensor=True, show_progress_bar=False
        )
        encoder = reduce_dimensions(encoder, embeddings, config.model.saved_dim)
    SentenceTransformer(modules=[encoder], device="cpu").save_pretrained(str(folder))
    if config.model.saved_as == "int8":
        store_as_int8(folder)


def _folded(model: SentenceTransformer) -> StaticEmbedding:
    """Return the encoder with the subword weights inside the vectors."""
    module = model[0]
    assert isinstance(module, WeightedStaticEmbedding)
    return module.folded()
