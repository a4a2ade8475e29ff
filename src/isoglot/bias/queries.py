"""What the figures of this package start from: relevant passages by query, heads of rankings.

No figure is here. Most figures are about queries whose relevant passages are in two languages or
more, `parallel_relevants`: a query with relevant passages in one language says nothing about how a
ranking treats languages.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.evaluation.evaluate import Evaluation
from isoglot.evaluation.settings import RelevantRanks

__all__ = [
    "UNRANKED",
    "QueryRelevants",
    "parallel_relevants",
    "query_relevants",
    "ranking_head",
    "stretches",
]

UNRANKED = int(np.iinfo(np.int64).max)
"""Rank of a relevant passage beyond the depth of a run."""


@dataclass(frozen=True)
class QueryRelevants:
    """The relevant passages of some queries; the pairs of a query follow each other."""

    passage_langs: tuple[str, ...]
    """Languages of the pool, sorted."""
    query_langs: NDArray[np.str_]
    """(queries,): language of the query."""
    sizes: NDArray[np.int64]
    """(queries,): its relevant passages, 1 or more."""
    ranks: NDArray[np.int64]
    """(pairs,): rank in the pool of all languages; `UNRANKED` beyond the depth of a run."""
    lang_numbers: NDArray[np.int64]
    """(pairs,): the passage's language, as a number of ``passage_langs``."""
    own: NDArray[np.bool_]
    """(pairs,): whether the passage is in the query's language."""

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """(pairs,): number of the query, from 0."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """(queries,): first pair of the query."""
        starts: NDArray[np.int64] = np.cumsum(self.sizes) - self.sizes
        return starts

    @cached_property
    def best(self) -> NDArray[np.int64]:
        """(queries,): rank of the best-ranked relevant passage."""
        best: NDArray[np.int64] = np.minimum.reduceat(self.ranks, self.starts)
        return best

    @cached_property
    def worst(self) -> NDArray[np.int64]:
        """(queries,): rank of the worst-ranked relevant passage."""
        worst: NDArray[np.int64] = np.maximum.reduceat(self.ranks, self.starts)
        return worst

    @cached_property
    def cells(self) -> NDArray[np.int64]:
        """(pairs,): cell of a flat (queries, passage languages) table that the pair belongs to."""
        return self.rows * len(self.passage_langs) + self.lang_numbers

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(queries, passage languages): relevant passages in each language."""
        return self._table(np.bincount(self.cells, minlength=self._cell_count))

    @property
    def parallel(self) -> NDArray[np.bool_]:
        """(queries,): whether the relevant passages are in two languages or more."""
        several: NDArray[np.bool_] = (self.counts > 0).sum(axis=1) > 1
        return several

    def any_of(self, pairs: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return for each query whether it holds for any of its pairs: (queries,)."""
        found: NDArray[np.bool_] = np.logical_or.reduceat(pairs, self.starts)
        return found

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add up a value of each pair by query and passage language; 0 where there is none."""
        return self._table(np.bincount(self.cells, values, self._cell_count))

    def means(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Average a value of each pair by query and passage language; NaN where there is none."""
        return np.where(self.counts > 0, self.sums(values) / np.maximum(self.counts, 1), np.nan)

    @cached_property
    def best_by_lang(self) -> NDArray[np.int64]:
        """(queries, passage languages): rank of the best-ranked one; `UNRANKED` if there is none.

        A relevant passage beyond the depth of a run looks like none.
        """
        best = np.full(len(self.sizes) * len(self.passage_langs), UNRANKED)
        np.minimum.at(best, self.cells, self.ranks)
        return self._table(best)

    def take(self, chosen: NDArray[np.bool_]) -> QueryRelevants:
        """Keep some queries."""
        if chosen.all():
            return self
        pairs = np.repeat(chosen, self.sizes)
        return replace(
            self,
            query_langs=self.query_langs[chosen],
            sizes=self.sizes[chosen],
            ranks=self.ranks[pairs],
            lang_numbers=self.lang_numbers[pairs],
            own=self.own[pairs],
        )

    @property
    def _cell_count(self) -> int:
        return len(self.sizes) * len(self.passage_langs)

    def _table(self, flat: NDArray[Any]) -> NDArray[Any]:
        return flat.reshape(len(self.sizes), len(self.passage_langs))


def query_relevants(ranks: RelevantRanks) -> QueryRelevants:
    """Return every query that has a relevant passage, in the order of the collection."""
    starts, sizes = stretches(ranks.queries)
    numbers = {lang: number for number, lang in enumerate(ranks.pool_sizes)}
    query_numbers = np.array([numbers.get(lang, -1) for lang in ranks.query_langs], dtype=np.int64)
    return QueryRelevants(
        passage_langs=tuple(ranks.pool_sizes),
        query_langs=np.array(ranks.query_langs, dtype=np.str_)[ranks.queries[starts]],
        sizes=sizes,
        ranks=np.where(ranks.ranked, ranks.multilingual_ranks, UNRANKED),
        lang_numbers=ranks.passage_lang_numbers,
        own=query_numbers[ranks.queries] == ranks.passage_lang_numbers,
    )


def parallel_relevants(ranks: RelevantRanks) -> QueryRelevants:
    """Return the queries whose relevant passages are in two languages or more, all of them ranked.

    None at all if a relevant passage lies beyond the depth of a run: the queries that a run covers
    are its easy ones, and figures over them would look better than they are.
    """
    relevants = query_relevants(ranks)
    return relevants.take(relevants.parallel & ranks.full_depth)


def stretches(groups: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return start and length of every stretch of equal numbers."""
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    return starts, np.diff(starts, append=len(groups))


def ranking_head(evaluation: Evaluation, depth: int) -> NDArray[np.int32] | None:
    """Return the first passages of every ranking in the pool of all languages.

    Returns:
        (queries, depth): rows of the collection, ``NO_PASSAGE`` where a run is shorter; fewer
        columns if there are fewer passages. ``None`` if the evaluation keeps fewer than it could.
    """
    depth = min(depth, len(evaluation.collection.passages))
    ranking = evaluation.ranking
    if ranking is None or ranking.depth < depth:
        return None
    return ranking.passages[:, :depth]
