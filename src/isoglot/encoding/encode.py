"""Texts to embeddings: every different text once, with the model's own prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from isoglot.encoding.encoders import TextEncoder, as_text_encoder, texts_per_call
from isoglot.progress import progress_bar

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["encode_once", "encode_texts"]

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
    what = f"encoding {_PLURAL[role]}"
    with progress_bar(what, len(texts), "text", show=show_progress) as bar:
        return encode_once(encoder, texts, role, batch_size=batch_size, done=bar.update)


def encode_once(
    encoder: TextEncoder,
    texts: Sequence[str],
    role: Literal["query", "passage"],
    *,
    batch_size: int | None,
    done: Callable[[int], object],
    narrow: Callable[[npt.NDArray[np.float32]], npt.NDArray[Any]] | None = None,
) -> npt.NDArray[Any]:
    """Encode texts in their order, every different one once; see `encode_texts`.

    Args:
        encoder: Any encoder.
        texts: At least one.
        role: Which of the encoder's prompts to use.
        batch_size: As of `encode_texts`.
        done: Called with the number of texts that were encoded since the last call.
        narrow: Turns vectors into what is kept of them; default: they are kept as they are.

    Returns:
        (texts, dim).
    """
    first: dict[str, int] = {}
    rows = np.fromiter(
        (first.setdefault(text, row) for row, text in enumerate(texts)), np.int64, len(texts)
    )
    # Longest first: texts of like lengths together, and a batch too large for the memory fails at
    # once.
    longest_first = sorted(first, key=len, reverse=True)
    at_a_time = texts_per_call(encoder)
    vectors: npt.NDArray[Any] | None = None
    for start in range(0, len(longest_first), at_a_time):
        part = longest_first[start : start + at_a_time]
        found = encoder.encode(part, role, batch_size=batch_size)
        found = found if narrow is None else narrow(found)
        if vectors is None:
            vectors = np.empty((len(texts), found.shape[1]), dtype=found.dtype)
        vectors[[first[text] for text in part]] = found
        done(len(part))
    if vectors is None:
        raise ValueError("no texts to encode")
    copies = np.flatnonzero(rows != np.arange(len(rows)))
    vectors[copies] = vectors[rows[copies]]
    done(len(copies))
    return vectors
