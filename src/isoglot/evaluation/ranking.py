"""The head of the ranking in the pool of all languages: the best passages of every query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isoglot.evaluation.passages import PassageTable

__all__ = ["NO_PASSAGE", "Ranking", "RankingHead", "best_first"]

NO_PASSAGE = -1
"""Stands in a ranking where a query has fewer passages."""
_SAMPLE = 1_024
_WORTH_SORTING = 4
"""Up to so many times the depth, sorting all is faster than choosing first."""


@dataclass(frozen=True)
class Ranking:
    """The best passages of every query in the pool of all languages, best first."""

    passages: NDArray[np.int32]
    """(queries, depth): row in the collection; -1 behind the last where a run is shorter."""
    scores: NDArray[np.float32]
    """(queries, depth); minus infinity behind the last."""

    @property
    def depth(self) -> int:
        """Passages kept per query."""
        return int(self.passages.shape[1])

    def head(self, depth: int) -> Ranking:
        """Return the first passages of every query."""
        return Ranking(self.passages[:, :depth], self.scores[:, :depth])


class RankingHead:
    """Collects the best passages of every query from blocks of scores."""

    def __init__(self, queries: int, depth: int, table: PassageTable) -> None:
        self._table = table
        depth = min(depth, len(table))
        self._passages = np.full((queries, depth), NO_PASSAGE, dtype=np.int32)
        self._scores = np.full((queries, depth), -np.inf, dtype=np.float32)
        self._filled = [0] * queries

    def last_score(self, query: int) -> np.float32:
        """Return the score to reach; infinity if nothing is kept."""
        return self._scores[query, -1] if self._scores.shape[1] else np.float32(np.inf)

    def add(self, query: int, scores: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
        """Take the scores of a block for one query: (passages,) and their rows."""
        depth, filled = self._scores.shape[1], self._filled[query]
        if filled == depth:
            (found,) = (scores >= self._scores[query, -1]).nonzero()
            scores, rows = scores[found], rows[found]
        if filled:
            scores = np.concatenate([self._scores[query, :filled], scores])
            rows = np.concatenate([self._passages[query, :filled], rows])
        if len(scores) > _WORTH_SORTING * depth:
            found = _candidates(scores, depth)
            scores, rows = scores[found], rows[found]
        if len(scores) > _WORTH_SORTING * depth:
            best = _best(scores, rows, self._table, depth)
            scores, rows = scores[best], rows[best]
        order = best_first(scores, rows, self._table)[:depth]
        self._scores[query, : len(order)] = scores[order]
        self._passages[query, : len(order)] = rows[order]
        self._filled[query] = len(order)

    def ranking(self) -> Ranking | None:
        """Return what was collected, None if nothing is kept."""
        return Ranking(self._passages, self._scores) if self._scores.shape[1] else None


def _best(
    scores: NDArray[np.float32], rows: NDArray[np.integer], table: PassageTable, depth: int
) -> NDArray[np.intp]:
    """Return the positions of the ``depth`` best of more passages, in no order."""
    last = np.partition(scores, -depth)[-depth]
    above, ties = np.flatnonzero(scores > last), np.flatnonzero(scores == last)
    missing = depth - len(above)
    if missing < len(ties):  # the doc id decides
        ties = ties[np.argpartition(table.id_ranks[rows[ties]], -missing)[-missing:]]
    return np.concatenate([above, ties])


def _candidates(scores: NDArray[np.float32], depth: int) -> NDArray[np.intp]:
    """Return positions that are sure to hold the best scores and all that tie with the last.

    A sample of the scores gives a bound that is most likely below the score sought, and few scores
    reach it: partitioning those takes a tenth of the time of partitioning all.
    """
    sample = scores[:: max(1, len(scores) // _SAMPLE)]
    wanted = 2 * depth * len(sample) // len(scores) + 8
    if wanted < len(sample):
        (reaching,) = (scores >= np.partition(sample, -wanted)[-wanted]).nonzero()
        if len(reaching) >= depth:
            return np.asarray(reaching)
    return np.arange(len(scores))


def best_first(
    scores: NDArray[np.floating], rows: NDArray[np.integer], table: PassageTable
) -> NDArray[np.intp]:
    """Return the order of passages: score, then doc id, both descending (trec_eval's)."""
    order = np.argsort(-scores)
    ordered = scores[order]
    if (ordered[1:] == ordered[:-1]).any():
        order = np.lexsort((-table.id_ranks[rows], -scores))
    return order
