"""Texts put together by their number of tokens, so that few of a batch's numbers are padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["TYPICAL_TOKENS", "chunk_texts", "token_batches"]

TYPICAL_TOKENS = 128
"""Of a text: a batch of n texts has at most n times as many tokens, and fewer texts if they are
longer. So a batch size bounds the memory whatever the texts are."""
_MOST_CHARACTERS = 2_000_000
"""Of texts whose tokens are held at a time; a token takes more than 100 bytes."""


def token_batches(lengths: ArrayLike, batch_size: int, most_tokens: int) -> Iterator[NDArray[Any]]:
    """Yield the rows of every batch, longest texts first.

    Args:
        lengths: (texts,) tokens.
        batch_size: Texts of a batch at most.
        most_tokens: Tokens of a batch at most, with padding; a text that has more is alone.
    """
    tokens = np.asarray(lengths, dtype=np.int64)
    order = np.argsort(-tokens, kind="stable")
    start = 0
    while start < len(order):
        longest = max(1, int(tokens[order[start]]))
        size = min(batch_size, max(1, most_tokens // longest))
        yield order[start : start + size]
        start += size


def chunk_texts(texts: Sequence[str], most: int) -> Iterator[slice]:
    """Yield slices of texts whose tokens can be held at a time.

    Args:
        texts: Any number.
        most: Texts of a slice at most.
    """
    start = characters = 0
    for row, text in enumerate(texts):
        if row > start and (row - start == most or characters + len(text) > _MOST_CHARACTERS):
            yield slice(start, row)
            start, characters = row, 0
        characters += len(text)
    if start < len(texts):
        yield slice(start, len(texts))
