"""Texts as tokens: rows of different lengths, one after another in one array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from isoglot.data.tokens import TokenStore

__all__ = ["Ragged", "gather"]

IntArray = npt.NDArray[np.int64]


class Ragged(NamedTuple):
    """Rows of tokens."""

    ids: npt.NDArray[np.int32]
    """(tokens,)"""
    lengths: IntArray
    """(rows,)"""

    @property
    def starts(self) -> IntArray:
        """Where each row starts: (rows,)."""
        starts: IntArray = np.cumsum(self.lengths) - self.lengths
        return starts

    def cut(self, rows: slice) -> Ragged:
        """Return neighbouring rows."""
        ends = np.concatenate([[0], np.cumsum(self.lengths)])
        return Ragged(self.ids[ends[rows.start] : ends[rows.stop]], self.lengths[rows])

    def take(self, rows: IntArray) -> Ragged:
        """Return rows in another order."""
        return gather(self.ids, self.starts[rows], self.lengths[rows])

    @staticmethod
    def join(columns: Sequence[Ragged]) -> Ragged:
        """Return the rows of several one after another."""
        ids = np.concatenate([column.ids for column in columns])
        return Ragged(ids, np.concatenate([column.lengths for column in columns]))

    @staticmethod
    def of_texts(store: TokenStore, texts: IntArray) -> Ragged:
        """Return the stored tokens of some texts."""
        starts = store.starts[texts]
        return gather(store.tokens, starts, store.ends[texts] - starts)


def gather(tokens: npt.NDArray[np.int32], starts: IntArray, lengths: IntArray) -> Ragged:
    """Return the tokens at some places, one row after another."""
    ends = np.cumsum(lengths)
    position = np.arange(ends[-1] if len(ends) else 0)
    return Ragged(tokens[position + np.repeat(starts - ends + lengths, lengths)], lengths)
