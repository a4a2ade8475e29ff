"""Language share: which languages fill the head of a ranking, against what could be expected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isoglot.bias.queries import query_relevants, ranking_head
from isoglot.bias.values import LanguageTable
from isoglot.evaluation.evaluate import Evaluation
from isoglot.evaluation.ranking import NO_PASSAGE
from isoglot.evaluation.settings import RelevantRanks

__all__ = ["LanguageShares", "language_shares", "relevant_shares"]


@dataclass(frozen=True)
class LanguageShares:
    """Languages of the first passages, for the queries of each language."""

    depth: int
    """Passages looked at per query."""
    query_langs: tuple[str, ...]
    """Sorted; the rows."""
    passage_langs: tuple[str, ...]
    """Sorted; the columns."""
    shares: NDArray[np.float64]
    """(query languages, passage languages): of the first passages; a row adds up to 1."""
    expected: NDArray[np.float64]
    """(passage languages,): of the pool, and so of the first passages of a random ranking."""

    @property
    def by_query_lang(self) -> dict[str, dict[str, float]]:
        """Share of each passage language by query language."""
        return {
            lang: dict(zip(self.passage_langs, row, strict=True))
            for lang, row in zip(self.query_langs, self.shares.tolist(), strict=True)
        }

    @property
    def expected_by_lang(self) -> dict[str, float]:
        """Share of each language in the pool."""
        return dict(zip(self.passage_langs, self.expected.tolist(), strict=True))

    @property
    def same_language(self) -> dict[str, float]:
        """Share of the query's language by query language, where the pool has that language."""
        shares = self.by_query_lang
        return {lang: shares[lang][lang] for lang in self.query_langs if lang in self.passage_langs}

    @property
    def same_language_expected(self) -> dict[str, float]:
        """What ``same_language`` is in a random ranking."""
        expected = self.expected_by_lang
        return {lang: expected[lang] for lang in self.same_language}

    @property
    def entropy(self) -> dict[str, float]:
        """Entropy of the shares by query language, divided by that of equal shares.

        ``- sum p log p / log L`` for L passage languages: 0 if one language has all first
        passages, 1 if all have the same number of them. Ours.
        """
        logs = np.log(np.where(self.shares > 0, self.shares, 1))
        entropies = np.abs((self.shares * logs).sum(axis=1)) / np.log(len(self.passage_langs))
        return dict(zip(self.query_langs, entropies.tolist(), strict=True))


def language_shares(evaluation: Evaluation, depth: int) -> LanguageShares | None:
    """Count the languages of the first ``depth`` passages in the pool of all languages.

    By query language and passage language: passages of that language among the first ``depth`` of
    all the language's queries, divided by all passages there. From 0 to 1. Expected is the share of
    the pool: an encoder that sees neither languages nor meaning fills a ranking so. Where relevant
    passages are spread otherwise, look at `relevant_shares` also. Language histograms as in arXiv
    2408.11942.

    All queries are counted, judged or not. Depth 1 gives the confusion matrix of query language
    and language of the first passage.

    Returns:
        ``None`` if the pool has one language, or the evaluation kept fewer passages per query.
    """
    head = ranking_head(evaluation, depth)
    pool_sizes = evaluation.ranks.pool_sizes
    if head is None or len(pool_sizes) < 2:
        return None
    query_langs, query_numbers = np.unique(evaluation.ranks.query_langs, return_inverse=True)
    passage_numbers = evaluation.table.lang_numbers[head]
    cells = (query_numbers[:, None] * len(pool_sizes) + passage_numbers)[head != NO_PASSAGE]
    counts = np.bincount(cells, minlength=len(query_langs) * len(pool_sizes))
    counts = counts.reshape(len(query_langs), len(pool_sizes))
    found = counts.sum(axis=1) > 0  # runs may list nothing for a language
    sizes = np.array(list(pool_sizes.values()))
    return LanguageShares(
        depth=head.shape[1],
        query_langs=tuple(query_langs[found].tolist()),
        passage_langs=tuple(pool_sizes),
        shares=counts[found] / counts[found].sum(axis=1, keepdims=True),
        expected=sizes / sizes.sum(),
    )


def relevant_shares(ranks: RelevantRanks) -> LanguageTable:
    """Return the share of each language among a query's relevant passages.

    What to expect of each language among the first passages if all of them are relevant: 1/11 on
    XQuAD-R. Of queries with relevant passages in two languages or more, ranked or not.
    """
    relevants = query_relevants(ranks)
    relevants = relevants.take(relevants.parallel)
    shares = relevants.counts / relevants.sizes[:, None]
    return LanguageTable(relevants.query_langs, relevants.passage_langs, shares)
