"""Pools: which groups can give a row in (query language, passage language), drawn exactly.

With L languages every data set has L x L pools, most of them nearly as large as the data set, so
they are not listed. Groups with the same languages are neighbours in one order; a pool is then a
few runs of that order, and a draw is one binary search. What to draw is decided in ``plan.py``.

The row after the last query language stands for "any query or none": the pools of all passages.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from isoglot.batches.lookup import Lookup
from isoglot.data.parallel import ABSENT, ParallelTable

__all__ = ["Pools"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


class Pools:
    """The pools of one data set, whose groups are neighbours in the table.

    Attributes:
        sizes: (languages + 1, languages): number of groups with a query in the row's language and
            a passage in the column's; the last row counts passages whatever the query.
    """

    def __init__(self, table: ParallelTable, dataset: int) -> None:
        languages = len(table.langs)
        first, end = np.searchsorted(table.dataset, [dataset, dataset + 1])
        patterns, pattern_of = _language_patterns(table, int(first), int(end))
        self._has_query, self._has_passage = patterns[:, :languages], patterns[:, languages:]
        self._runs = np.bincount(pattern_of, minlength=len(patterns))
        order = np.argsort(pattern_of, kind="stable")
        self._members = (first + order).astype(np.int32)
        run_starts = np.cumsum(self._runs) - self._runs

        any_query = np.ones((len(patterns), 1), dtype=bool)
        queries = np.concatenate([self._has_query, any_query], axis=1)
        # Every (pool, run) pair, ordered by pool: (query language, passage language, pattern).
        pairs = queries.T[:, None, :] & self._has_passage.T[None, :, :]
        pool, pattern = np.divmod(np.flatnonzero(pairs), max(1, len(patterns)))
        runs = self._runs[pattern]
        totals = np.bincount(pool, weights=runs, minlength=(languages + 1) * languages)
        self._pool_sizes = totals.astype(np.int64)
        self._pool_start = np.cumsum(self._pool_sizes) - self._pool_sizes
        self.sizes = self._pool_sizes.reshape(-1, languages)
        # Positions count all groups of all pools; a run is found by where it ends.
        ends = np.cumsum(runs)
        self._lookup = Lookup(ends)
        self._shift = run_starts[pattern] - (ends - runs)

    def draw(self, query_lang: IntArray, passage_lang: IntArray, uniform: FloatArray) -> IntArray:
        """Draw one group per row, uniformly from the row's pool.

        Args:
            query_lang: (rows,) positions of languages; no pool may be empty.
            passage_lang: (rows,)
            uniform: (rows,) random numbers in [0, 1).

        Returns:
            (rows,) groups of the table.
        """
        pool = query_lang * self.sizes.shape[1] + passage_lang
        place = (uniform * self._pool_sizes.take(pool)).astype(np.int64)
        position = self._pool_start.take(pool) + place
        run = self._lookup.find(position)
        drawn: IntArray = self._members.take(position + self._shift.take(run)).astype(np.int64)
        return drawn

    def monolingual_groups(self, lang: int) -> IntArray:
        """Return the groups with a query and a passage in one language, in order."""
        return self._groups(self._has_query[:, lang] & self._has_passage[:, lang])

    def cross_lingual_groups(self) -> IntArray:
        """Return the groups with a query and a passage in different languages, in order."""
        query, passage = self._has_query, self._has_passage
        pairs = query.sum(axis=1) * passage.sum(axis=1) - (query & passage).sum(axis=1)
        return self._groups(pairs > 0)

    def _groups(self, patterns: BoolArray) -> IntArray:
        """Return the groups with some of the patterns."""
        groups: IntArray = np.sort(self._members[np.repeat(patterns, self._runs)]).astype(np.int64)
        return groups


def _language_patterns(
    table: ParallelTable, first: int, end: int
) -> tuple[BoolArray, npt.NDArray[np.integer[Any]]]:
    """Find which languages groups have, block by block.

    Returns:
        The different patterns, (patterns, 2 * languages): queries, then passages; and the position
        of each group's among them.
    """
    if first == end:  # no group of the data set is trained on
        return np.zeros((0, 2 * len(table.langs)), dtype=bool), np.zeros(0, dtype=np.uint16)
    found, places = [], []
    sides = zip(table.query.blocks(first, end), table.passage.blocks(first, end), strict=True)
    for (_, query), (_, passage) in sides:
        packed = np.packbits(np.concatenate([query, passage], axis=1) != ABSENT, axis=1)
        keys, inverse = np.unique(_sortable(packed), return_inverse=True)
        found.append(keys)
        places.append(inverse.astype(np.int32))
    patterns = np.unique(np.concatenate(found))
    kind = np.uint16 if len(patterns) <= 1 << 16 else np.int32  # 16 bits are sorted in one pass
    pattern_of = np.concatenate(
        [
            np.searchsorted(patterns, keys).astype(kind)[place]
            for keys, place in zip(found, places, strict=True)
        ]
    )
    if patterns.dtype == np.uint64:
        patterns = patterns.astype(">u8")
    packed = patterns.view(np.uint8).reshape(len(patterns), -1)
    return np.unpackbits(packed, axis=1, count=2 * len(table.langs)).astype(bool), pattern_of


def _sortable(packed: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """Return rows of bytes as keys in the same order: numbers where they fit, which sort faster."""
    rows, width = packed.shape
    padded = np.zeros((rows, max(8, width)), dtype=np.uint8)
    padded[:, :width] = packed
    if width <= 8:
        return padded.view(">u8").ravel().astype(np.uint64)
    return padded.view(f"V{width}").ravel()
