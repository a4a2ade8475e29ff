"""How an encoder is fed in training: its prompts, and stored tokens wherever that is exact."""

from __future__ import annotations

import hashlib
import json
from functools import partial

import numpy as np
import numpy.typing as npt
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from isoglot.config.schema import TrainingConfig
from isoglot.data.parallel import ABSENT, ParallelTable
from isoglot.data.prepared.views import Cells
from isoglot.data.tokens import TokenStore, build_tokens
from isoglot.training.inputs.collate import Collate, TextCollator, TokenCollator
from isoglot.training.inputs.packing import find_packer
from isoglot.training.inputs.reading import (
    Role,
    probe_tokens,
    ragged_tokens,
    read_alike,
    training_roles,
)

__all__ = ["build_collator"]


def build_collator(
    model: SentenceTransformer,
    table: ParallelTable,
    training: TrainingConfig,
) -> Collate:
    """Build what feeds an encoder: its tokens are made once, if its inputs are no more than tokens.

    Args:
        model: The encoder.
        table: The texts.
        training: Says in how many parts a batch is encoded.
    """
    query, passage = training_roles(model)
    most_texts = training.mini_batch_size
    packer = find_packer(
        model, (query, passage), most_parts=training.length_buckets, most_texts=most_texts
    )
    if packer is None:
        return TextCollator(model, table, query, passage, most_texts)
    if read_alike(model, query, passage):
        store = _store(model, table, passage, None)
        return TokenCollator(store, store, packer)
    return TokenCollator(
        _store(model, table, query, _used(table, table.query)),
        _store(model, table, passage, _used(table, table.passage, table.negative)),
        packer,
    )


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
    role: Role,
    rows: npt.NDArray[np.int64] | None,
) -> TokenStore:
    tokenize = partial(ragged_tokens, model, role=role)
    identity = _identity(model, role)
    folder = table.folder if identity is not None else None  # else kept in memory
    return build_tokens(table.texts, tokenize, identity or "", folder, rows)


def _identity(model: SentenceTransformer, role: Role) -> str | None:
    """Return a name for what an encoder makes of a text: equal names, equal tokens.

    None for a tokenizer whose rules cannot be written down: one that is not of ``tokenizers``.
    """
    tokenizer = getattr(model.tokenizer, "backend_tokenizer", model.tokenizer)
    if not isinstance(tokenizer, Tokenizer):
        return None
    facts = [
        tokenizer.to_str(),
        str(model.max_seq_length),
        str(model[0].get_config_dict()),
        role,
        probe_tokens(model, role),  # what the rules do not say, such as a template
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
