"""Language preference rate: how often the query's language wins among the right answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isoglot.bias.queries import UNRANKED, query_relevants
from isoglot.evaluation.settings import RelevantRanks

__all__ = ["LanguagePreference", "language_preference"]


@dataclass(frozen=True)
class LanguagePreference:
    """Of the queries with relevant passages in their own and in another language."""

    query_langs: NDArray[np.str_]
    """(queries,): language of the query."""
    own_first: NDArray[np.bool_]
    """(queries,): whether the best-ranked relevant passage is in the query's language."""
    expected: NDArray[np.float64]
    """(queries,): probability of that for an encoder blind to language."""


def language_preference(ranks: RelevantRanks) -> LanguagePreference:
    """Compare the best-ranked relevant passage of every query with the query's language.

    The language preference rate is the share of ``own_first``, 0 to 1. A blind encoder puts each
    of the R relevant passages first equally often, so it has
    ``relevant passages in the query's language / R`` on average (1/11 on XQuAD-R); above that, the
    query's language is preferred, below it, others are. Meaning plays no part: only relevant
    passages are compared. It is the LPR of MLAIRE (arXiv 2605.07249) as we read it.

    Of none, if a run of limited depth ranks no relevant passage of one of the queries: those that
    it covers are the easy ones, whose preference may be another.
    """
    relevants = query_relevants(ranks)
    told = relevants.any_of(relevants.own) & relevants.any_of(~relevants.own)
    is_known = bool((relevants.best[told] < UNRANKED).all())
    relevants = relevants.take(told & is_known)
    best = np.repeat(relevants.best, relevants.sizes)
    own_counts = np.add.reduceat(relevants.own.astype(np.int64), relevants.starts)
    return LanguagePreference(
        query_langs=relevants.query_langs,
        own_first=relevants.any_of(relevants.own & (relevants.ranks == best)),
        expected=own_counts / relevants.sizes,
    )
