"""Texts to embeddings: every different text once, with the model's own prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding

from isoglot.progress import progress_bar

__all__ = ["encode_texts"]

_PLURAL = {"query": "queries", "passage": "passages"}
_BATCHES_AT_A_TIME = 16
"""Batches per call of the encoder; it sorts texts by length within a call."""
_STATIC_BATCH = 2048
_TRANSFORMER_BATCH = 64


def encode_texts(
    model: SentenceTransformer,
    texts: Sequence[str],
    role: Literal["query", "passage"],
    *,
    batch_size: int | None = None,
    show_progress: bool = False,
) -> npt.NDArray[np.float32]:
    """Encode texts in their order.

    Equal texts are encoded once and share one vector, so they tie exactly in a ranking; encoded in
    different batches they could differ in the last bit.

    Args:
        model: Any encoder.
        texts: At least one.
        role: Which of the model's prompts to use.
        batch_size: Texts at a time; default: by the kind of encoder.
        show_progress: Show a progress bar with rate and time left.

    Returns:
        (texts, dim) float32.
    """
    position: dict[str, int] = {}
    rows = np.fromiter(
        (position.setdefault(text, len(position)) for text in texts), np.int64, len(texts)
    )
    encode = model.encode_query if role == "query" else model.encode_document
    batch_size = batch_size or _batch_size(model)
    # Longest first: batches of like lengths, and a batch too large for the memory fails at once.
    longest_first = sorted(position, key=len, reverse=True)
    parts = []
    what = f"encoding {_PLURAL[role]}"
    with progress_bar(what, len(longest_first), "text", show=show_progress) as bar:
        for start in range(0, len(longest_first), _BATCHES_AT_A_TIME * batch_size):
            texts_now = longest_first[start : start + _BATCHES_AT_A_TIME * batch_size]
            parts.append(encode(texts_now, batch_size=batch_size, show_progress_bar=False))
            bar.update(len(texts_now))
    order = np.fromiter((position[text] for text in longest_first), np.int64, len(position))
    embeddings = np.empty((len(order), parts[0].shape[1]), dtype=np.float32)
    embeddings[order] = np.concatenate(parts)
    return embeddings[rows]


def _batch_size(model: SentenceTransformer) -> int:
    return _STATIC_BATCH if isinstance(model[0], StaticEmbedding) else _TRANSFORMER_BATCH
