"""Max@R and Complete@k: how deep one must read to have a question answered in every language."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isoglot.bias.queries import parallel_relevants, query_relevants
from isoglot.bias.values import QueryValues
from isoglot.evaluation.settings import RelevantRanks

__all__ = ["MaxAtR", "complete_at", "max_at_r"]


@dataclass(frozen=True)
class MaxAtR:
    """Worst ranks of the queries whose relevant passages are in two languages or more."""

    query_langs: NDArray[np.str_]
    """(queries,): language of the query."""
    worst: NDArray[np.int64]
    """(queries,): rank of the last relevant passage."""
    sizes: NDArray[np.int64]
    """(queries,): relevant passages, 2 or more."""
    passages: int
    """Passages in the pool of all languages."""

    @property
    def normalized(self) -> NDArray[np.float64]:
        """(queries,): 0 if the last relevant passage is last of all, 100 if none is above any.

        100 too where every passage is relevant: no ranking could do better.
        """
        room = np.log2(self.passages) - np.log2(self.sizes)
        left = np.log2(self.passages) - np.log2(self.worst)
        possible = room > 0
        shares: NDArray[np.float64] = np.where(possible, left / np.where(possible, room, 1), 1)
        return 100 * shares


def max_at_r(ranks: RelevantRanks) -> MaxAtR:
    """Compute ``Max@R = max rank`` over the relevant passages of every query.

    In the pool D of all languages, from R for R relevant passages to |D|; lower is better. The
    normalized form ``100 (log2 |D| - log2 Max@R) / (log2 |D| - log2 R)`` is in 0..100, higher is
    better, and comparable over pools. Unlike rank distance it also counts how deep the first
    relevant passage is. Source: arXiv 2604.05684.

    It has no cutoff. No query is measured if a relevant passage is beyond the depth of a run.
    """
    relevants = parallel_relevants(ranks)
    return MaxAtR(
        query_langs=relevants.query_langs,
        worst=relevants.worst,
        sizes=relevants.sizes,
        passages=sum(ranks.pool_sizes.values()),
    )


def complete_at(ranks: RelevantRanks, cutoff: int) -> QueryValues:
    """Say for each query whether all its relevant passages are among the first ``cutoff``.

    Complete@k is the share of true, 0 to 1; higher is better. It cannot be above 0 where a query
    has more than ``cutoff`` relevant passages (11 on XQuAD-R). Of the queries whose relevant
    passages are in two languages or more. Named in arXiv 2604.05684; the definition is our reading.

    A passage beyond the depth of a run is not among the first, so the answer holds for runs too, if
    they are at least ``cutoff`` deep.
    """
    relevants = query_relevants(ranks)
    relevants = relevants.take(relevants.parallel)
    return QueryValues(relevants.query_langs, relevants.worst <= cutoff)
