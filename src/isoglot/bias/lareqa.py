"""LAReQA's analyses of one target: what a relevant passage's language does to average precision.

Exact from the counts, without scores: taking passages out of a pool moves a passage up by as many
ranks as there were passages above it. Source: LAReQA, arXiv 2004.05484; the definitions are our
reading of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isoglot.bias.queries import QueryRelevants, parallel_relevants, query_relevants, stretches
from isoglot.bias.values import LanguageTable
from isoglot.evaluation.settings import RelevantRanks

__all__ = ["language_pair_precision", "limit_to_one_target", "remove_one_target"]


def limit_to_one_target(ranks: RelevantRanks) -> LanguageTable:
    """Compute AP with the relevant passages of one language alone, the others out of the pool.

    For a query and a passage language: the pool of all languages less the query's relevant passages
    in other languages. A relevant passage of the language then has the rank
    ``multilingual rank - relevant passages of other languages above it``, and AP is the mean of
    ``i / rank`` over them, the i-th best each. From 0 to 1; higher is better. An encoder that is
    blind to language scores the same for a target in the query's language and in any other.

    Of queries with relevant passages in two languages or more; of none if a relevant passage is
    beyond the depth of a run.
    """
    relevants = parallel_relevants(ranks)
    places = _places(relevants.rows, relevants.ranks)
    own_places = _places(relevants.cells, relevants.ranks)
    ranks_left = relevants.ranks - (places - own_places)
    return _table(relevants, own_places / ranks_left)


def language_pair_precision(ranks: RelevantRanks) -> LanguageTable:
    """Compute AP with the relevant passages of one language alone, in the pool of all languages.

    LAReQA's heat map by query language and passage language. As `limit_to_one_target`, but the
    relevant passages in other languages stay in the pool and count as wrong: where L parallel
    passages lead the ranking, AP is 1, 1/2, ... 1/L. From 0 to 1; a row of equal values is blind to
    language. Of all queries; of none if a relevant passage is beyond the depth of a run.
    """
    relevants = query_relevants(ranks)
    relevants = relevants.take(np.full(len(relevants.sizes), ranks.full_depth))
    return _table(relevants, _places(relevants.cells, relevants.ranks) / relevants.ranks)


def remove_one_target(ranks: RelevantRanks) -> LanguageTable:
    """Compute the AP that a query loses when one relevant passage is taken out.

    ``AP - AP'``, where AP' is of the pool of all languages and the relevant passages less the one;
    the mean over the relevant passages of a language if it has several. From -1 to 1: above 0, AP
    rested on that passage; below 0, the passage stood too deep and AP is better without it. If
    passages in the query's language cost much more than others, AP is made by same-language
    matches. Of queries with relevant passages in two languages or more; of none if a relevant
    passage is beyond the depth of a run.
    """
    relevants = parallel_relevants(ranks)
    places = _places(relevants.rows, relevants.ranks)
    by_place = np.full((len(relevants.sizes), relevants.sizes.max(initial=0)), np.inf)
    by_place[relevants.rows, places - 1] = relevants.ranks
    losses = _losses(by_place, relevants.sizes)
    return _table(relevants, losses[relevants.rows, places - 1])


def _losses(by_place: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return AP less AP without the i-th best relevant passage.

    Args:
        by_place: (queries, most relevant): rank of the i-th best; infinite beyond the last.
        sizes: (queries,): relevant passages, 2 or more.

    Returns:
        (queries, most relevant).
    """
    places = np.arange(1, by_place.shape[1] + 1)
    precisions = places / by_place
    # A passage below the one taken out moves up by one, in rank and in place. The first is never
    # below another, and its rank may be 1.
    moved = np.zeros_like(precisions)
    moved[:, 1:] = places[:-1] / (by_place[:, 1:] - 1)
    above = np.cumsum(precisions, axis=1) - precisions
    below = moved.sum(axis=1, keepdims=True) - np.cumsum(moved, axis=1)
    average = precisions.sum(axis=1, keepdims=True) / sizes[:, None]
    losses: NDArray[np.float64] = average - (above + below) / (sizes[:, None] - 1)
    return losses


def _places(groups: NDArray[np.int64], ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each pair's place by rank among the pairs of its group; 1 is the best."""
    order = np.argsort(groups * (ranks.max(initial=0) + 1) + ranks)  # by group, then by rank
    starts, sizes = stretches(groups[order])
    places = np.empty(len(groups), dtype=np.int64)
    places[order] = np.arange(1, len(groups) + 1) - np.repeat(starts, sizes)
    return places


def _table(relevants: QueryRelevants, values: NDArray[np.float64]) -> LanguageTable:
    return LanguageTable(relevants.query_langs, relevants.passage_langs, relevants.means(values))
