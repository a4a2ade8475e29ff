"""Rank distance and same-language share: two views of language bias in one full ranking.

Both look at the relevant passages of a query in the pool of all languages, without a cutoff. Every
figure is a mean per query language, then a mean over query languages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.evaluation.evaluate import Evaluation
from isoglot.evaluation.settings import RelevantRanks

__all__ = ["RankDistances", "rank_distances", "same_language_first", "summarize"]


@dataclass(frozen=True)
class RankDistances:
    """Rank distances of the queries whose relevant passages are in two languages or more."""

    query_langs: NDArray[np.str_]
    """(queries,): language of the query."""
    distances: NDArray[np.int64]
    """(queries,): worst minus best rank of the relevant passages."""
    floors: NDArray[np.int64]
    """(queries,): the smallest possible distance, R - 1 for R relevant passages."""
    ceilings: NDArray[np.int64]
    """(queries,): the largest possible distance, passages - 1."""

    @property
    def normalized(self) -> NDArray[np.float64]:
        """(queries,): position between floor and ceiling, 0 to 100; 0 if the two are equal."""
        room = np.maximum(self.ceilings - self.floors, 1)
        share: NDArray[np.float64] = (self.distances - self.floors) / room
        return 100 * share


def summarize(evaluation: Evaluation) -> dict[str, Any]:
    """Return the bias figures of ``metrics.json``; ``None`` where no query qualifies.

    Keys: ``rank_distance``, ``rank_distance_by_query_lang``, ``rank_distance_floor``,
    ``rank_distance_normalized``, ``same_language_share``.
    """
    found = rank_distances(evaluation.ranks)
    by_lang = _mean_by_lang(found.query_langs, found.distances)
    same_langs, same_first = same_language_first(evaluation.ranks)
    return {
        "rank_distance": _macro_mean(by_lang),
        "rank_distance_by_query_lang": by_lang,
        "rank_distance_floor": _macro_mean(_mean_by_lang(found.query_langs, found.floors)),
        "rank_distance_normalized": _macro_mean(_mean_by_lang(found.query_langs, found.normalized)),
        "same_language_share": _macro_mean(_mean_by_lang(same_langs, same_first)),
    }


def rank_distances(ranks: RelevantRanks) -> RankDistances:
    """Compute ``max rank - min rank`` over the relevant passages of every query.

    From 0 to passages - 1; larger is more biased. It depends on the size of the pool and cannot
    fall below R - 1, so the normalized form ``100 (distance - (R - 1)) / (passages - R)`` goes with
    it. Source: Huang et al., arXiv 2305.09025, as used in arXiv 2408.10536, section 4.1. A query
    whose relevant passages are all in one language says nothing about languages and is left out.
    """
    rows, starts, sizes = _queries(ranks)
    multilingual = ranks.multilingual_ranks
    langs = ranks.passage_lang_numbers
    # Pairs are ordered by query, so each query is one stretch for reduceat.
    several = np.minimum.reduceat(langs, starts) < np.maximum.reduceat(langs, starts)
    distances = np.maximum.reduceat(multilingual, starts) - np.minimum.reduceat(
        multilingual, starts
    )
    passages = sum(ranks.pool_sizes.values())
    return RankDistances(
        query_langs=np.array(ranks.query_langs)[rows[several]],
        distances=distances[several],
        floors=sizes[several] - 1,
        ceilings=np.full(int(several.sum()), passages - 1),
    )


def same_language_first(ranks: RelevantRanks) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
    """Say for each query whether its best-ranked relevant passage is in the query's language.

    Only queries with relevant passages in their own and in another language. The share of true is
    1/languages on average for an encoder blind to language when each language has one relevant
    passage; larger prefers the query's language. It is the language preference rate of MLAIRE
    (arXiv 2605.07249) as we read it.

    Returns:
        The queries' languages and the answers, both (queries,).
    """
    rows, starts, sizes = _queries(ranks)
    same = ranks.passage_langs == ranks.pair_query_langs
    of_both = np.logical_or.reduceat(same, starts) & ~np.logical_and.reduceat(same, starts)
    multilingual = ranks.multilingual_ranks
    best = np.repeat(np.minimum.reduceat(multilingual, starts), sizes)
    same_first = np.logical_or.reduceat(same & (multilingual == best), starts)
    return np.array(ranks.query_langs)[rows[of_both]], same_first[of_both]


def _queries(
    ranks: RelevantRanks,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return row, first pair and number of pairs of every query that has any."""
    rows, starts, sizes = np.unique(ranks.queries, return_index=True, return_counts=True)
    return rows, starts, sizes


def _mean_by_lang(langs: NDArray[np.str_], values: NDArray[Any]) -> dict[str, float]:
    return {str(lang): float(values[langs == lang].mean()) for lang in np.unique(langs)}


def _macro_mean(by_lang: dict[str, float]) -> float | None:
    return float(np.mean(list(by_lang.values()))) if by_lang else None
