"""Texts put together by their number of tokens, so that few of a batch's numbers are padding."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tokenizers import Encoding

__all__ = ["TYPICAL_TOKENS", "TokenRows", "chunk_texts", "token_batches"]

TYPICAL_TOKENS = 128
"""Of a text: a batch of n texts has at most n times as many tokens, and fewer texts if they are
longer. So a batch size bounds the memory whatever the texts are."""
_MOST_CHARACTERS = 2_000_000
"""Of texts whose tokens are held at a time; a token takes more than 100 bytes."""


class TokenRows:
    """The tokens of some texts, end to end; a batch is padded when it is asked for.

    Args:
        encodings: Of the texts, without padding.
        with_types: Keep the types of tokens, too.

    Attributes:
        ids: (tokens,) int64 of all texts.
        lengths: (texts,) tokens.
        starts: (texts,) where in ``ids`` each text begins.
    """

    def __init__(self, encodings: Sequence[Encoding], *, with_types: bool = False) -> None:
        tokens = [encoding.ids for encoding in encodings]
        self.lengths: NDArray[np.int64] = np.fromiter(map(len, tokens), np.int64, len(tokens))
        self.starts = _starts(self.lengths)
        self.ids = self._flat(tokens)
        self._types = self._flat([x.type_ids for x in encodings]) if with_types else None

    def pad(
        self,
        rows: NDArray[Any],
        *,
        pad_id: int,
        pad_type: int = 0,
        left: bool = False,
        at_least: int = 1,
    ) -> dict[str, NDArray[np.int64]]:
        """Return some texts as ``input_ids``, ``attention_mask`` and, if kept, ``token_type_ids``.

        Args:
            rows: Of the texts, at least one.
            pad_id: Fills up to the longest of them.
            pad_type: Its type.
            left: Put the filling before the tokens.
            at_least: Columns, though no text may have so many tokens.

        Returns:
            Arrays of shape (texts, tokens).
        """
        lengths, starts = self.lengths[rows], self.starts[rows]
        width = max(at_least, int(lengths.max()))
        columns = np.arange(width)
        mask = columns >= width - lengths[:, None] if left else columns < lengths[:, None]
        # In the order in which the mask takes them: row by row.
        places = np.arange(lengths.sum()) + np.repeat(starts - _starts(lengths), lengths)
        padded = {"input_ids": np.full(mask.shape, pad_id), "attention_mask": mask.astype(np.int64)}
        padded["input_ids"][mask] = self.ids[places]
        if self._types is not None:
            padded["token_type_ids"] = np.full(mask.shape, pad_type)
            padded["token_type_ids"][mask] = self._types[places]
        return padded

    def _flat(self, rows: Sequence[list[int]]) -> NDArray[np.int64]:
        return np.fromiter(itertools.chain.from_iterable(rows), np.int64, int(self.lengths.sum()))


def _starts(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each of some rows begins if they are put end to end."""
    starts: NDArray[np.int64] = np.cumsum(lengths) - lengths
    return starts


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
