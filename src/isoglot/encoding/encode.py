"""Texts to embeddings: every different text once, with the model's own prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from isoglot.encoding.encoders import TextEncoder, as_text_encoder, texts_per_call
from isoglot.progress import progress_bar

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["encode_texts"]

_PLURAL = {"query": "queries", "passage": "passages"}


def encode_texts(
    model: SentenceTransformer | TextEncoder,
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
        batch_size: Texts of 128 tokens at a time, fewer longer ones; default: by the kind of
            encoder.
        show_progress: Show a progress bar with rate and time left.

    Returns:
        (texts, dim) float32.
    """
    encoder = as_text_encoder(model)
    position: dict[str, int] = {}
    rows = np.fromiter(
        (position.setdefault(text, len(position)) for text in texts), np.int64, len(texts)
    )
    # Longest first: texts of like lengths together, and a batch too large for the memory fails at
    # once.
    longest_first = sorted(position, key=len, reverse=True)
    at_a_time = texts_per_call(encoder)
    parts = []
    what = f"encoding {_PLURAL[role]}"
    with progress_bar(what, len(longest_first), "text", show=show_progress) as bar:
        for start in range(0, len(longest_first), at_a_time):
            texts_now = longest_first[start : start + at_a_time]
            parts.append(encoder.encode(texts_now, role, batch_size=batch_size))
            bar.update(len(texts_now))
    order = np.fromiter((position[text] for text in longest_first), np.int64, len(position))
    embeddings = np.empty((len(order), parts[0].shape[1]), dtype=np.float32)
    embeddings[order] = np.concatenate(parts)
    return embeddings[rows]
