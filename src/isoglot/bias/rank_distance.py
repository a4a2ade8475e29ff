"""Rank distance: how far apart a ranking puts the passages that answer the same question."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isoglot.bias.queries import parallel_relevants
from isoglot.evaluation.settings import RelevantRanks

__all__ = ["RankDistances", "rank_distances"]


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


def rank_distances(ranks: RelevantRanks) -> RankDistances:
    """Compute ``max rank - min rank`` over the relevant passages of every query.

    In the pool of all languages, from R - 1 for R relevant passages to passages - 1; larger is more
    biased. It depends on the size of the pool and has a floor, so the normalized form
    ``100 (distance - (R - 1)) / (passages - R)``, ours, goes with it. Source: Huang et al., arXiv
    2305.09025, as used in arXiv 2408.10536, section 4.1.

    It has no cutoff. No query is measured if a relevant passage is beyond the depth of a run.
    """
    relevants = parallel_relevants(ranks)
    passages = sum(ranks.pool_sizes.values())
    return RankDistances(
        query_langs=relevants.query_langs,
        distances=relevants.worst - relevants.best,
        floors=relevants.sizes - 1,
        ceilings=np.full(len(relevants.sizes), passages - 1),
    )
