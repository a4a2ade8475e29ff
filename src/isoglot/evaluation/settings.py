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

from isoglot.errors import ConfigError, did_you_mean
from isoglot.evaluation.measures import Measure, RankedRelevants, compute
from isoglot.evaluation.passages import PassageTable, Relevant
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
    passages: NDArray[np.int64]
    """(pairs,): row of the relevant passage."""
    passage_lang_numbers: NDArray[np.int64]
    """(pairs,): column of ``higher`` that is the passage's own language."""
    gains: NDArray[np.float64]
    """(pairs,): judged relevance, above 0."""
    higher: NDArray[np.int32]
    """(pairs, passage languages): passages that rank above; meaningless where not ``ranked``."""
    ranked: NDArray[np.bool_]
    """(pairs,): whether the passage is in the ranking; false only beyond the depth of a run."""

    @property
    def full_depth(self) -> bool:
        """Whether every relevant passage has a rank."""
        return bool(self.ranked.all())

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
        """(pairs,): rank of the passage among all passages; 1 is the best.

        Meaningless where not ``ranked``, and so below.
        """
        above: NDArray[np.int64] = self.higher.sum(axis=1, dtype=np.int64)
        return above + 1

    @cached_property
    def own_language_ranks(self) -> NDArray[np.int64]:
        """(pairs,): rank of the passage among the passages of its own language."""
        pairs = np.arange(len(self.queries))
        return self.higher[pairs, self.passage_lang_numbers].astype(np.int64) + 1

    def pairs_of(self, query_lang: str, passage_lang: str) -> NDArray[np.int64]:
        """Return the pairs of a query language and a passage language, or ``*`` for all of them."""
        by_lang = self._pairs_by_lang
        if passage_lang == ALL_LANGUAGES:
            of_query = [pairs for (lang, _), pairs in by_lang.items() if lang == query_lang]
            return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *of_query]))
        return by_lang.get((query_lang, passage_lang), np.empty(0, dtype=np.int64))

    @cached_property
    def _pairs_by_lang(self) -> dict[tuple[str, str], NDArray[np.int64]]:
        """The pairs of every two languages that have any, ascending."""
        langs, codes = np.unique(self.query_langs, return_inverse=True)
        passage_langs = list(self.pool_sizes)
        keys = codes[self.queries] * len(passage_langs) + self.passage_lang_numbers
        order = np.argsort(keys, kind="stable")
        found, firsts = np.unique(keys[order], return_index=True)
        return {
            (str(langs[key // len(passage_langs)]), passage_langs[key % len(passage_langs)]): part
            for key, part in zip(found.tolist(), np.split(order, firsts[1:]), strict=True)
        }

    def restrict(self, langs: Iterable[str]) -> RelevantRanks:
        """Return the ranks in the pools of some languages, for the queries in these languages.

        Exact, and without a look at scores: ranks in a smaller pool follow from the same counts.
        Queries keep their numbers; those in other languages have no pairs.

        Raises:
            ConfigError: If there are no passages in a language.
        """
        wanted = set(langs)
        if unknown := sorted(wanted - self.pool_sizes.keys()):
            raise ConfigError(
                f"there are no passages in {unknown[0]!r}; the languages are "
                f"{', '.join(self.pool_sizes)}"
            )
        names = list(self.pool_sizes)
        kept = [number for number, lang in enumerate(names) if lang in wanted]
        pairs = np.isin(self.passage_lang_numbers, kept)
        pairs &= np.isin(self.pair_query_langs, sorted(wanted))
        return RelevantRanks(
            query_langs=self.query_langs,
            pool_sizes={names[number]: self.pool_sizes[names[number]] for number in kept},
            queries=self.queries[pairs],
            passages=self.passages[pairs],
            passage_lang_numbers=np.searchsorted(kept, self.passage_lang_numbers[pairs]),
            gains=self.gains[pairs],
            higher=self.higher[pairs][:, kept],
            ranked=self.ranked[pairs],
        )


def relevant_ranks(
    query_langs: Iterable[str],
    relevant: Relevant,
    table: PassageTable,
    higher: NDArray[np.int32],
    ranked: NDArray[np.bool_] | None = None,
) -> RelevantRanks:
    """Join the counts with the languages of their queries and passages; default: all ranked."""
    return RelevantRanks(
        query_langs=tuple(query_langs),
        pool_sizes=table.pool_sizes,
        queries=relevant.queries,
        passages=relevant.passages,
        passage_lang_numbers=table.lang_numbers[relevant.passages].astype(np.int64),
        gains=relevant.gains,
        higher=higher,
        ranked=np.ones(len(higher), dtype=np.bool_) if ranked is None else ranked,
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
    pairs = ranks.pairs_of(pool.query_lang, pool.passage_lang)
    everywhere = pool.passage_lang == ALL_LANGUAGES
    places = (ranks.multilingual_ranks if everywhere else ranks.own_language_ranks)[pairs]
    firsts = np.flatnonzero(np.diff(ranks.queries[pairs], prepend=-1))
    queries, sizes = ranks.queries[pairs[firsts]], np.diff(firsts, append=len(pairs))
    if not queries.size:
        return PoolValues(pool, queries, np.empty((len(measures), 0)))
    found = np.where(ranks.ranked[pairs], places, np.inf)
    relevants = RankedRelevants.from_pairs(sizes, found, ranks.gains[pairs])
    return PoolValues(pool, queries, np.stack([compute(m, relevants) for m in measures]))
