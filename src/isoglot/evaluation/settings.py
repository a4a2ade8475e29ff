"""The three settings and their pools: which relevant passages a query is measured on.

monolingual: the passages in the query's language. cross-lingual: the passages in one other
language, one pool per ordered pair. multilingual: all passages, written ``*``. A query without a
relevant passage in a pool is skipped there, never scored 0 (arXiv 2408.10536, section 3.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.data.collection import Collection
from isoglot.errors import ConfigError, did_you_mean
from isoglot.evaluation.counts import PassageOrder, Relevant
from isoglot.evaluation.measures import Measure, RankedRelevants, compute
from isoglot.languages import ALL_LANGUAGES

__all__ = [
    "SETTINGS",
    "Pool",
    "PoolValues",
    "RelevantRanks",
    "check_settings",
    "list_pools",
    "measure_pool",
    "relevant_ranks",
]

SETTINGS = ("monolingual", "cross-lingual", "multilingual")


class Pool(NamedTuple):
    """The passages that queries of one language retrieve from in one setting."""

    setting: str
    query_lang: str
    passage_lang: str


@dataclass(frozen=True)
class RelevantRanks:
    """Every (query, relevant passage) pair with the passages above it, counted by language.

    All that measures and bias figures need; scores and texts are gone.
    """

    query_langs: tuple[str, ...]
    """(queries,): language of each query."""
    pool_sizes: Mapping[str, int]
    """Passages by language, sorted by language; the columns of ``higher`` in order."""
    queries: NDArray[np.int64]
    """(pairs,): row of the query, ascending."""
    passage_lang_numbers: NDArray[np.int64]
    """(pairs,): column of ``higher`` that is the passage's own language."""
    gains: NDArray[np.float64]
    """(pairs,): judged relevance, above 0."""
    higher: NDArray[np.int32]
    """(pairs, passage languages): passages that rank above."""

    @cached_property
    def passage_langs(self) -> NDArray[np.str_]:
        """(pairs,): language of the relevant passage."""
        return np.array(list(self.pool_sizes))[self.passage_lang_numbers]

    @cached_property
    def pair_query_langs(self) -> NDArray[np.str_]:
        """(pairs,): language of the query."""
        return np.array(self.query_langs)[self.queries]

    @cached_property
    def multilingual_ranks(self) -> NDArray[np.int64]:
        """(pairs,): rank of the passage among all passages; 1 is the best."""
        above: NDArray[np.int64] = self.higher.sum(axis=1, dtype=np.int64)
        return above + 1

    @cached_property
    def own_language_ranks(self) -> NDArray[np.int64]:
        """(pairs,): rank of the passage among the passages of its own language."""
        pairs = np.arange(len(self.queries))
        return self.higher[pairs, self.passage_lang_numbers].astype(np.int64) + 1


def relevant_ranks(
    collection: Collection, relevant: Relevant, order: PassageOrder, higher: NDArray[np.int32]
) -> RelevantRanks:
    """Join the counts with the languages of their queries and passages."""
    lang_numbers = np.empty(len(order.rows), dtype=np.int64)
    for number, part in enumerate(order.slices):
        lang_numbers[order.rows[part]] = number
    return RelevantRanks(
        query_langs=tuple(query.lang for query in collection.queries),
        pool_sizes={
            lang: part.stop - part.start
            for lang, part in zip(order.langs, order.slices, strict=True)
        },
        queries=relevant.queries,
        passage_lang_numbers=lang_numbers[relevant.passages],
        gains=relevant.gains,
        higher=higher,
    )


@dataclass(frozen=True)
class PoolValues:
    """Values of the queries that have a relevant passage in a pool."""

    pool: Pool
    queries: NDArray[np.int64]
    """(measured queries,): rows of the collection, ascending."""
    values: NDArray[np.float64]
    """(measures, measured queries)."""


def check_settings(settings: Iterable[str]) -> tuple[str, ...]:
    """Return the settings in their usual order, each once.

    Raises:
        ConfigError: If there is none, or one is unknown.
    """
    wanted = set(settings)
    for name in sorted(wanted - set(SETTINGS)):
        raise ConfigError(
            f"unknown setting {name!r}; use {', '.join(SETTINGS)}{did_you_mean(name, SETTINGS)}"
        )
    if not wanted:
        raise ConfigError(f"no settings given; name one or more of {', '.join(SETTINGS)}")
    return tuple(name for name in SETTINGS if name in wanted)


def list_pools(ranks: RelevantRanks, settings: Sequence[str]) -> Iterator[Pool]:
    """List every pool that has passages, by setting, query language and passage language."""
    query_langs = sorted(set(ranks.query_langs))
    for setting in settings:
        for query_lang in query_langs:
            if setting == "multilingual":
                yield Pool(setting, query_lang, ALL_LANGUAGES)
                continue
            for passage_lang in ranks.pool_sizes:
                if (passage_lang == query_lang) == (setting == "monolingual"):
                    yield Pool(setting, query_lang, passage_lang)


def measure_pool(ranks: RelevantRanks, pool: Pool, measures: Sequence[Measure]) -> PoolValues:
    """Compute the measures in one pool; queries without a relevant passage there are left out."""
    here = ranks.pair_query_langs == pool.query_lang
    if pool.passage_lang == ALL_LANGUAGES:
        ranks_in_pool = ranks.multilingual_ranks
    else:
        here &= ranks.passage_langs == pool.passage_lang
        ranks_in_pool = ranks.own_language_ranks
    queries, sizes = np.unique(ranks.queries[here], return_counts=True)
    if not queries.size:
        return PoolValues(pool, queries, np.empty((len(measures), 0)))
    relevants = RankedRelevants.from_pairs(sizes, ranks_in_pool[here], ranks.gains[here])
    return PoolValues(pool, queries, np.stack([compute(m, relevants) for m in measures]))
