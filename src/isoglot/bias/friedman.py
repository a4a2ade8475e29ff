"""Friedman test: do rankings order the languages of parallel passages the same way every time?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isoglot.bias.queries import UNRANKED, parallel_relevants
from isoglot.evaluation.settings import RelevantRanks

__all__ = ["Friedman", "friedman_tests"]


@dataclass(frozen=True)
class Friedman:
    """The test over the queries of one language, each with passages in the same L languages."""

    passage_langs: tuple[str, ...]
    """The L languages, sorted."""
    queries: int
    """Queries with a relevant passage in each of the languages, 2 or more."""
    left_out: int
    """Queries that lack one of the languages."""
    mean_ranks: NDArray[np.float64]
    """(L,): mean place of each language among the L, 1 to L; 1 if it is always first."""

    @property
    def mean_ranks_by_lang(self) -> dict[str, float]:
        """``mean_ranks`` by passage language."""
        return dict(zip(self.passage_langs, self.mean_ranks.tolist(), strict=True))

    @property
    def df(self) -> int:
        """Degrees of freedom, L - 1."""
        return len(self.passage_langs) - 1

    @property
    def statistic(self) -> float:
        """``12 n / (L (L + 1)) sum_j (mean rank of j - (L + 1) / 2)^2`` for n queries."""
        langs = len(self.passage_langs)
        spread = float(((self.mean_ranks - (langs + 1) / 2) ** 2).sum())
        return 12 * self.queries / (langs * (langs + 1)) * spread

    @property
    def p(self) -> float:
        """Probability of such a statistic or a larger one if languages played no part.

        From the chi-squared distribution, which is close for ten queries or more.
        """
        from scipy.special import chdtrc

        return float(chdtrc(self.df, self.statistic))

    @property
    def kendall_w(self) -> float:
        """Kendall's W, ``statistic / (n (L - 1))``: the size of the effect.

        0 if all languages have the same mean rank, 1 if every query puts them in the same order; on
        average 1/n by chance.
        """
        return self.statistic / (self.queries * self.df)


def friedman_tests(ranks: RelevantRanks) -> dict[str, Friedman]:
    """Test, for the queries of each language, whether parallel passages are ranked by language.

    Blocks are queries, treatments passage languages, values the ranks in the pool of all languages
    of the relevant passage in each; the best one if a language has several. Ranks differ, so there
    are no ties. Only the order of parallel passages counts, so that a few hard queries with ranks
    in the thousands weigh no more than others, as they do in a rank distance. Friedman 1937;
    Kendall & Babington Smith 1939; for language bias, ours.

    Where every query has an answer in every language, all languages are tested (XQuAD-R: 11).
    Otherwise those that give the most numbers, queries times languages, among the sets of languages
    that some query has; of equals the larger set, then the one whose languages come first. Queries
    that lack one of them are left out.

    Returns:
        By query language; only those with two queries that share two passage languages. Empty if a
        relevant passage is beyond the depth of a run.
    """
    relevants = parallel_relevants(ranks)
    tests = {}
    for lang in np.unique(relevants.query_langs).tolist():
        best = relevants.best_by_lang[relevants.query_langs == lang]
        test = _friedman(relevants.passage_langs, best)
        if test is not None:
            tests[lang] = test
    return tests


def _friedman(passage_langs: tuple[str, ...], best: NDArray[np.int64]) -> Friedman | None:
    """Test the best rank by query and passage language; ``None`` without two complete queries."""
    langs = _largest_table(best < UNRANKED)
    blocks = best[:, langs]
    blocks = blocks[blocks.max(axis=1) < UNRANKED]
    if len(blocks) < 2:
        return None
    places = blocks.argsort(axis=1).argsort(axis=1) + 1
    return Friedman(
        passage_langs=tuple(passage_langs[lang] for lang in langs),
        queries=len(blocks),
        left_out=len(best) - len(blocks),
        mean_ranks=places.mean(axis=0),
    )


def _largest_table(present: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Choose the languages for which queries times languages is largest.

    Args:
        present: (queries, languages): whether the query has a passage in the language.

    Returns:
        The columns, ascending.
    """
    patterns, times = np.unique(present, axis=0, return_counts=True)
    sizes = patterns.sum(axis=1)
    shared = patterns.astype(np.float32) @ patterns.astype(np.float32).T  # languages in common
    queries = (shared == sizes).T @ times
    cells = np.where(queries > 1, queries * sizes, 0)
    # np.unique sorts False before True: the last of equals has the first languages.
    return np.flatnonzero(patterns[np.lexsort((sizes, cells))[-1]])
