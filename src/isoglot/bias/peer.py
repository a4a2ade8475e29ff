"""PEER: are relevant passages ranked alike whatever their language? And its form over all queries.

PEER tests every query by itself and can see nothing where each language has one relevant passage,
as in parallel collections; the form that pools the ranks of all queries can.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isoglot.bias.queries import parallel_relevants, query_relevants
from isoglot.evaluation.settings import RelevantRanks

__all__ = ["Peer", "PooledKruskalWallis", "peer", "pooled_kruskal_wallis"]


@dataclass(frozen=True)
class Peer:
    """PEER of the queries that have relevant passages."""

    query_langs: NDArray[np.str_]
    """(queries,): language of the query."""
    values: NDArray[np.float64]
    """(queries,): p of the query's test, 0 to 1; 1 is fair."""
    languages: NDArray[np.int64]
    """(queries,): languages of its relevant passages."""
    informative: NDArray[np.bool_]
    """(queries,): whether the value depends on the ranking at all: relevant passages are in two
    languages or more, and one language has several."""

    @property
    def why_not(self) -> str | None:
        """Why PEER says nothing about this ranking; ``None`` if it does."""
        if self.informative.any():
            return None
        if not len(self.values):
            return "a relevant passage is beyond the depth of the run; PEER needs all their ranks"
        if self.languages.max() < 2:
            return "no query has relevant passages in two languages; there is nothing to compare"
        return (
            "no query has several relevant passages in a language and others in another, so PEER "
            "is the same for any ranking; Kendall's W compares languages there"
        )


@dataclass(frozen=True)
class PooledKruskalWallis:
    """Kruskal-Wallis over the relevant passages of all queries of one language."""

    statistic: float
    """H, corrected for ties."""
    df: int
    """Passage languages - 1."""
    passages: int
    """Ranks that were pooled, N."""

    @property
    def p(self) -> float:
        """Probability of such a statistic or a larger one if languages played no part.

        The passages of a query are not independent, so read it as a rough guide.
        """
        from scipy.special import chdtrc

        return float(chdtrc(self.df, self.statistic))

    @property
    def epsilon_squared(self) -> float:
        """``H / (N - 1)``, 0 to 1: the share of the variance of ranks that languages explain."""
        return self.statistic / (self.passages - 1)


def peer(ranks: RelevantRanks) -> Peer:
    """Test, for every query, whether its relevant passages are ranked alike in all languages.

    Kruskal-Wallis on the ranks r in the pool of all languages, as they are, grouped by passage
    language: ``h = (N - 1) sum_g n_g (mean_g - mean)^2 / sum_i (r_i - mean)^2`` and PEER = the
    probability of h or more under chi-squared with (languages - 1) degrees of freedom. From 0 to 1;
    1 is fair. A query whose relevant passages are in one language has 1. Source: arXiv
    2405.00978, with the full ranking and with the whole weight on one level, relevant: grades
    are not told apart, and passages without a judgment are not tested.

    Where every language has one relevant passage, h is N - 1 and the value the same for any
    ranking (.4405 for 11 languages): see ``informative``.

    Of all queries with relevant passages; of none if one is beyond the depth of a run.
    """
    from scipy.special import chdtrc

    relevants = query_relevants(ranks)
    relevants = relevants.take(np.full(len(relevants.sizes), ranks.full_depth))
    means = np.add.reduceat(relevants.ranks, relevants.starts) / relevants.sizes
    off = relevants.ranks.astype(np.float64) - np.repeat(means, relevants.sizes)
    total = np.add.reduceat(off**2, relevants.starts)
    counts = relevants.counts
    between = (relevants.sums(off) ** 2 / np.maximum(counts, 1)).sum(axis=1)
    langs = (counts > 0).sum(axis=1)
    several = langs > 1
    statistic = (relevants.sizes - 1) * between / np.where(several, total, 1)
    return Peer(
        query_langs=relevants.query_langs,
        values=np.where(several, chdtrc(np.maximum(langs - 1, 1), statistic), 1.0),
        languages=langs,
        informative=several & (counts.max(axis=1, initial=0) > 1),
    )


def pooled_kruskal_wallis(ranks: RelevantRanks) -> dict[str, PooledKruskalWallis]:
    """Test, for the queries of each language, whether ranks differ between passage languages.

    Pools the ranks of the relevant passages of all the language's queries and groups them by
    passage language. Sees a bias also where each query has one relevant passage per language, which
    `peer` cannot; but hard queries add the same noise to every language, so the Friedman test
    is the sharper one there. Kruskal & Wallis 1952; this use is ours.

    Of queries with relevant passages in two languages or more. Empty if a relevant passage is
    beyond the depth of a run.
    """
    relevants = parallel_relevants(ranks)
    tests = {}
    for lang in np.unique(relevants.query_langs).tolist():
        of_lang = relevants.take(relevants.query_langs == lang)
        test = _kruskal_wallis(_mid_ranks(of_lang.ranks), of_lang.lang_numbers)
        if test is not None:
            tests[lang] = test
    return tests


def _kruskal_wallis(
    values: NDArray[np.float64], groups: NDArray[np.int64]
) -> PooledKruskalWallis | None:
    """Test ranks that share places where equal; ``None`` if all are equal."""
    off = values - values.mean()
    total = float((off**2).sum())
    if total == 0:
        return None
    counts = np.bincount(groups)
    sums = np.bincount(groups, off)[counts > 0]
    between = float((sums**2 / counts[counts > 0]).sum())
    return PooledKruskalWallis(
        statistic=(len(values) - 1) * between / total,
        df=len(sums) - 1,
        passages=len(values),
    )


def _mid_ranks(values: NDArray[np.int64]) -> NDArray[np.float64]:
    """Rank values from 1; equal ones share the mean of their places."""
    _, codes, times = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(times)
    middle: NDArray[np.float64] = last - (times - 1) / 2
    return middle[codes]
