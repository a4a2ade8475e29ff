"""How an encoder is fed in training: its prompts, and stored tokens wherever that is exact."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sentence_transformers import SentenceTransformer

from isoglot.config.schema import TrainingConfig
from isoglot.data.parallel import ABSENT, ParallelTable
from isoglot.data.prepared.views import Cells
from isoglot.data.tokens import TokenStore, build_tokens
from isoglot.training.inputs.augment import Augmentation
from isoglot.training.inputs.collate import Collate, TextCollator, TokenCollator
from isoglot.training.inputs.packing import find_packer, ragged_tokens

__all__ = ["Prompts", "build_collator", "training_prompts"]


class Prompts(NamedTuple):
    """What is put before the texts."""

    query: str
    passage: str


def training_prompts(model: SentenceTransformer) -> Prompts:
    """Return the prompts that ``encode_query`` and ``encode_document`` use, empty ones included."""
    return Prompts(
        _first_prompt(model, "query"), _first_prompt(model, "document", "passage", "corpus")
    )


def build_collator(
    model: SentenceTransformer,
    table: ParallelTable,
    training: TrainingConfig,
    augmentation: Augmentation | None = None,
) -> Collate:
    """Build what feeds an encoder: its tokens are made once, if its inputs are no more than tokens.

    Args:
        model: The encoder.
        table: The texts.
        training: Says in how many parts a batch is encoded.
        augmentation: Shortens texts anew at every visit; only where tokens are stored.
    """
    prompts = training_prompts(model)
    most_texts = training.mini_batch_size
    packer = find_packer(model, prompts, most_parts=training.length_buckets, most_texts=most_texts)
    if packer is None:
        return TextCollator(model, table, *prompts, most_texts)
    if prompts.query == prompts.passage:
        store = _store(model, table, prompts.query, None)
        return TokenCollator(store, store, packer, augmentation)
    return TokenCollator(
        _store(model, table, prompts.query, _used(table, table.query)),
        _store(model, table, prompts.passage, _used(table, table.passage, table.negative)),
        packer,
        augmentation,
    )


def _first_prompt(model: SentenceTransformer, *names: str) -> str:
    names = (*names, model.default_prompt_name or "")
    return next((model.prompts[name] or "" for name in names if name in model.prompts), "")


def _used(table: ParallelTable, *columns: Cells) -> npt.NDArray[np.int64]:
    """Return the rows of the texts that some columns of the table name."""
    used = np.zeros(len(table.texts), dtype=bool)
    for column in columns:
        for _, rows in column.blocks():
            used[rows[rows != ABSENT]] = True
    return np.flatnonzero(used)


def _store(
    model: SentenceTransformer,
    table: ParallelTable,
    prompt: str,
    rows: npt.NDArray[np.int64] | None,
) -> TokenStore:
    tokenize = partial(ragged_tokens, model, prompt=prompt)
    return build_tokens(table.texts, tokenize, _identity(model, prompt), table.folder, rows)


def _identity(model: SentenceTransformer, prompt: str) -> str:
    """Return a name for what an encoder makes of a text: equal names, equal tokens."""
    tokenizer = model.tokenizer
    rules = getattr(tokenizer, "backend_tokenizer", tokenizer).to_str()
    facts = [rules, str(model.max_seq_length), str(model[0].get_config_dict()), prompt]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
