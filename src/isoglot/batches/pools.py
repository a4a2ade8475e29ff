"""Pools: which groups can give a row in (query language, passage language), drawn exactly.

With L languages every data set has L x L pools, most of them nearly as large as the data set, so
they are not listed. Groups with the same languages are neighbours in one order; a pool is then a
few runs of that order, and a draw is one binary search. What to draw is decided in ``plan.py``.

The row after the last query language stands for "any query or none": the pools of all passages.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isoglot.data.parallel import ABSENT, ParallelTable

__all__ = ["Pools"]

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


class Pools:
    """The pools of one data set.

    Attributes:
        sizes: (languages + 1, languages): number of groups with a query in the row's language and
            a passage in the column's; the last row counts passages whatever the query.
    """

    def __init__(self, table: ParallelTable, dataset: int) -> None:
        members = np.flatnonzero(table.dataset == dataset)
        has_query = table.query[members] != ABSENT  # (members, languages)
        has_passage = table.passage[members] != ABSENT
        patterns, pattern_of = _unique_rows(np.concatenate([has_query, has_passage], axis=1))
        runs = np.bincount(pattern_of, minlength=len(patterns))
        self._members = members[np.argsort(pattern_of, kind="stable")]
        run_starts = np.cumsum(runs) - runs

        languages = len(table.langs)
        any_query = np.ones((len(patterns), 1), dtype=bool)
        queries = np.concatenate([patterns[:, :languages], any_query], axis=1)
        passages = patterns[:, languages:]
        # Every (pool, run) pair, ordered by pool: (query language, passage language, pattern).
        pairs = queries.T[:, None, :] & passages.T[None, :, :]
        query_lang, passage_lang, pattern = np.nonzero(pairs)
        pool = query_lang * languages + passage_lang
        self._run_start = run_starts[pattern]
        self._ends = np.cumsum(runs[pattern])
        totals = np.bincount(pool, weights=runs[pattern], minlength=queries.shape[1] * languages)
        self._pool_start = np.cumsum(totals.astype(np.int64)) - totals.astype(np.int64)
        self.sizes = totals.astype(np.int64).reshape(-1, languages)

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
        sizes = self.sizes[query_lang, passage_lang]
        position = self._pool_start[pool] + (uniform * sizes).astype(np.int64)
        run = np.searchsorted(self._ends, position, side="right")
        run_begin = np.where(run > 0, self._ends[run - 1], 0)
        drawn: IntArray = self._members[self._run_start[run] + position - run_begin]
        return drawn


def _unique_rows(rows: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.bool_], IntArray]:
    """Return the different rows and, for each row, its position among them."""
    packed = np.packbits(rows, axis=1)
    keys = np.ascontiguousarray(packed).view(f"V{packed.shape[1]}").ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], inverse.ravel().astype(np.int64)
