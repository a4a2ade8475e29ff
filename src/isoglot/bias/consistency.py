"""Consistency: does the same question bring the same passages whichever language asks it?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.bias.queries import ranking_head, stretches
from isoglot.data.collection import Collection
from isoglot.evaluation.evaluate import Evaluation
from isoglot.evaluation.ranking import NO_PASSAGE
from isoglot.evaluation.settings import RelevantRanks

__all__ = ["Consistency", "consistency", "parallel_queries"]

_BLOCK = 8192
"""Pairs of lists compared at a time: a few MiB at depth 10."""


@dataclass(frozen=True)
class Consistency:
    """Likeness of the lists of parallel queries, by pair of languages."""

    depth: int
    """Length of the lists."""
    langs: tuple[str, ...]
    """Query languages, sorted; rows and columns."""
    pairs: NDArray[np.int64]
    """(languages, languages), symmetric: pairs of parallel queries."""
    overlap: NDArray[np.float64]
    """(languages, languages), symmetric: mean overlap, 0 to 1; NaN where there is no pair."""
    correlation: NDArray[np.float64]
    """(languages, languages), symmetric: mean rank correlation; NaN where there is none."""

    @property
    def query_pairs(self) -> int:
        """Pairs of parallel queries in all."""
        return int(np.triu(self.pairs).sum())

    def means(self, table: NDArray[np.float64]) -> dict[str, float]:
        """Average one of the tables over the other languages, for each that has any."""
        means = {}
        for lang, row in zip(self.langs, table, strict=True):
            known = row[~np.isnan(row)]
            if known.size:
                means[lang] = float(known.mean())
        return means

    def mean(self, table: NDArray[np.float64]) -> float | None:
        """Average one of the tables over pairs of languages, each weighing the same."""
        upper = table[np.triu_indices(len(table))]
        known = upper[~np.isnan(upper)]
        return float(known.mean()) if known.size else None


def consistency(evaluation: Evaluation, depth: int) -> Consistency | None:
    """Compare the first ``depth`` passages of parallel queries, in the pool of all languages.

    overlap: passages that both lists hold, divided by the length of the longer; 0 to 1. rank
    correlation: Spearman's formula (Pearson's correlation of ranks) over all passages of the pool,
    where the passages outside a list share the rank just below it, ``depth + 1``. 1 for the same
    list, close to 0 (a little below) for two that share nothing; the order counts, and most at the
    top. Higher is more consistent. Means over the parallel queries of two languages, then over
    pairs of languages.

    A language-biased encoder brings passages in the query's language, hence other ones for every
    language. It is MRC@k of arXiv 2509.06195 in our reading; that paper may treat passages outside
    a list otherwise.

    Returns:
        ``None`` if no queries are parallel, or the evaluation kept fewer passages per query.
    """
    head = ranking_head(evaluation, depth)
    if head is None:
        return None
    pairs = parallel_queries(evaluation.collection, evaluation.ranks)
    if not len(pairs):
        return None
    langs, numbers = np.unique(evaluation.ranks.query_langs, return_inverse=True)
    passages = len(evaluation.collection.passages)
    overlap, correlation = _compare_all(head, pairs, passages)
    lang_pairs = numbers[pairs]
    return Consistency(
        depth=head.shape[1],
        langs=tuple(langs.tolist()),
        pairs=_by_lang_pair(lang_pairs, np.ones(len(pairs)), len(langs))[1],
        overlap=_by_lang_pair(lang_pairs, overlap, len(langs))[0],
        correlation=_by_lang_pair(lang_pairs, correlation, len(langs))[0],
    )


def parallel_queries(collection: Collection, ranks: RelevantRanks) -> NDArray[np.int64]:
    """Find the queries that ask the same in two languages.

    They have the same ``query_id`` and share a relevant passage: in MIRACL, where every language
    numbers its own queries, equal ids alone mean nothing.

    Returns:
        (pairs, 2): rows of the collection, each pair once.
    """
    passages = ranks.passages.tolist()
    asked: dict[str, list[tuple[int, set[int]]]] = defaultdict(list)
    for start, size in zip(*stretches(ranks.queries), strict=True):
        row = int(ranks.queries[start])
        relevant = set(passages[start : start + size])
        asked[collection.queries[row].query_id].append((row, relevant))
    pairs = [
        (row, other_row)
        for queries in asked.values()
        for (row, relevant), (other_row, other_relevant) in combinations(queries, 2)
        if not relevant.isdisjoint(other_relevant)
    ]
    return np.array(pairs, dtype=np.int64).reshape(len(pairs), 2)


def _compare_all(
    head: NDArray[np.int32], pairs: NDArray[np.int64], passages: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return overlap and rank correlation of every pair of lists, both (pairs,); NaN if none."""
    blocks = list(_compare_blocks(head, pairs, passages))
    return np.concatenate([b[0] for b in blocks]), np.concatenate([b[1] for b in blocks])


def _compare_blocks(
    head: NDArray[np.int32], pairs: NDArray[np.int64], passages: int
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    # Ranks counted up from the one below the list: passages outside weigh 0, so that only those
    # inside enter the sums. Correlation does not mind.
    weights = np.arange(head.shape[1], 0, -1, dtype=np.float64)
    listed = head != NO_PASSAGE
    lengths = listed.sum(axis=1)
    sums = listed @ weights
    spreads = listed @ weights**2 - sums**2 / passages
    for start in range(0, len(pairs), _BLOCK):
        left, right = pairs[start : start + _BLOCK].T
        same = head[left][:, :, None] == head[right][:, None, :]  # (pairs, depth, depth)
        same &= listed[left][:, :, None]
        longer = np.maximum(lengths[left], lengths[right])
        products = (same @ weights) @ weights
        room = np.sqrt(spreads[left] * spreads[right])
        yield (
            _divide(same.sum(axis=(1, 2)), longer),
            _divide(products - sums[left] * sums[right] / passages, room),
        )


def _divide(values: NDArray[Any], by: NDArray[Any]) -> NDArray[np.float64]:
    """Divide; NaN where ``by`` is 0."""
    quotients = np.full(len(values), np.nan)
    np.divide(values, by, out=quotients, where=by > 0)
    return quotients


def _by_lang_pair(
    lang_pairs: NDArray[np.int64], values: NDArray[np.float64], langs: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return mean and number of the values by pair of languages, both symmetric."""
    known = ~np.isnan(values)
    cells = np.concatenate([lang_pairs[known], lang_pairs[known][:, ::-1]]) @ [langs, 1]
    counts = np.bincount(cells, minlength=langs**2)
    sums = np.bincount(cells, np.tile(values[known], 2), langs**2)
    means = _divide(sums, counts)
    return means.reshape(langs, langs), counts.reshape(langs, langs)
