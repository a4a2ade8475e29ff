"""The plan: ``batch(i)`` is a pure function of (seed, i), after arXiv 2408.10536, section 2.2.

A *monolingual* batch has one language, drawn uniformly; every query and passage is in it. In a
*cross-lingual* batch every row has its own ordered pair of different languages, drawn uniformly. A
*hybrid* plan makes each batch monolingual with probability ``monolingual_share``, which may change
from the first batch to the last. Every batch comes from one data set, drawn by size; what else is
drawn by what is in ``weights.py``. Because nothing is stateful, a run resumes exactly and any batch
can be looked at.

Rows are drawn anew for each batch, so a group's visits are equal in expectation, not in number.
No meaning occurs twice in a batch: a translation, another sentence with the same answer, or the
same passage again is never a negative. What the texts are is in ``data/parallel.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from isoglot.batches.lookup import Lookup
from isoglot.batches.negatives import draw_negatives
from isoglot.batches.parallels import Texts, draw_parallels, no_texts
from isoglot.batches.pools import Pools
from isoglot.batches.randomness import RandomStreams
from isoglot.batches.weights import weigh
from isoglot.config.schema import BatchConfig
from isoglot.data.parallel import ABSENT, ParallelTable

__all__ = ["CROSS_LINGUAL", "MONOLINGUAL", "Batch", "BatchPlan"]

MONOLINGUAL = "monolingual"
CROSS_LINGUAL = "cross-lingual"

_REDRAWS = 32

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Batch:
    """Which texts make up a batch; languages are positions in ``ParallelTable.langs``."""

    index: int
    kind: str
    dataset: int
    groups: IntArray
    """(rows,)"""
    query_langs: IntArray
    """(rows,)"""
    passage_langs: IntArray
    """(rows,)"""
    query_texts: IntArray
    """(rows,) rows of ``ParallelTable.texts``."""
    passage_texts: IntArray
    """(rows,)"""
    negative_texts: IntArray
    """(rows, negatives per query)"""
    negative_langs: IntArray
    """(rows, negatives per query)"""
    parallel_query_texts: IntArray
    """(rows,) the row's query in another language; ``ABSENT`` where there is none, or where the
    plan draws no parallel texts."""
    parallel_query_langs: IntArray
    """(rows,)"""
    parallel_passage_texts: IntArray
    """(rows,) the row's passage in another language, or ``ABSENT``."""
    parallel_passage_langs: IntArray
    """(rows,)"""

    def __len__(self) -> int:
        return len(self.groups)


class _Rows(NamedTuple):
    groups: IntArray
    query_langs: IntArray
    passage_langs: IntArray


class BatchPlan:
    """Draws batches from a table of parallel groups.

    Args:
        table: The groups.
        config: The regime and its options. It names no languages: those of the table are drawn.
        seed: Any integer >= 0; different seeds give unrelated batches.
        count: Batches of the run; needed where ``monolingual_share`` changes over it.
        parallels: Whether to draw each row's texts in another language, too.

    Raises:
        ConfigError: If the data cannot fill the batches that the config asks for, or a data set
            is named for neither kind.
        ValueError: If the share changes and ``count`` is not given.
    """

    def __init__(
        self,
        table: ParallelTable,
        config: BatchConfig,
        seed: int,
        *,
        count: int | None = None,
        parallels: bool = False,
    ) -> None:
        first, last = config.share_range
        if first != last and count is None:
            raise ValueError("a share that changes over the run needs the run's count of batches")
        self.table = table
        self.config = config
        self.count = count
        self.parallels = parallels
        self.pools = [Pools(table, dataset) for dataset in range(len(table.datasets))]
        self.weights = weigh(table, self.pools, config)
        self._random = RandomStreams("batches", seed)
        # A stream of its own: the other columns are the same with and without parallel texts.
        self._random_parallels = RandomStreams("parallels", seed)
        # Searched at every batch, so summed once.
        self._language_ends = _ends(self.weights.languages)
        self._pairs = [Lookup(_ends(weights.ravel())) for weights in self.weights.pairs]

    @property
    def langs(self) -> tuple[str, ...]:
        """The languages, in the order that the weights and batches count them."""
        return self.table.langs

    def share_at(self, index: int) -> float:
        """Return the probability that batch ``index`` is monolingual; after the run, the last."""
        if self.count is None:
            return self.config.share_at(0.0)
        return self.config.share_at(min(1.0, index / max(1, self.count - 1)))

    @property
    def expected_share(self) -> float:
        """The expected share of monolingual batches in the run."""
        batches = 1 if self.count is None else self.count
        return fmean(self.share_at(index) for index in range(batches))

    def batch(self, index: int) -> Batch:
        """Return batch ``index``; the same for the same seed, always."""
        rng = self._random.at(index)
        if rng.random() < self.share_at(index):
            kind = MONOLINGUAL
            lang = int(_pick(self._language_ends, rng.random(1))[0])
            dataset = int(_pick(_ends(self.weights.monolingual[:, lang]), rng.random(1))[0])
            rows = self._draw_monolingual(rng, dataset, lang)
        else:
            kind = CROSS_LINGUAL
            dataset = int(_pick(_ends(self.weights.cross_lingual), rng.random(1))[0])
            rows = self._draw_cross_lingual(rng, dataset)
        negative_texts, negative_langs = self._draw_negatives(rng, kind, dataset, rows)
        queries, passages = self._draw_parallels(index, rows)
        return Batch(
            index=index,
            kind=kind,
            dataset=dataset,
            groups=rows.groups,
            query_langs=rows.query_langs,
            passage_langs=rows.passage_langs,
            query_texts=self.table.query.at(rows.groups, rows.query_langs),
            passage_texts=self.table.passage.at(rows.groups, rows.passage_langs),
            negative_texts=negative_texts,
            negative_langs=negative_langs,
            parallel_query_texts=queries.rows,
            parallel_query_langs=queries.langs,
            parallel_passage_texts=passages.rows,
            parallel_passage_langs=passages.langs,
        )

    def _draw_monolingual(self, rng: np.random.Generator, dataset: int, lang: int) -> _Rows:
        def draw(count: int) -> _Rows:
            langs = np.full(count, lang, dtype=np.int64)
            return _Rows(self.pools[dataset].draw(langs, langs, rng.random(count)), langs, langs)

        rows, repeated = self._fill(draw)
        candidates = partial(self.pools[dataset].monolingual_groups, lang)
        self._fill_up(rng, rows, repeated, candidates)
        return rows

    def _draw_cross_lingual(self, rng: np.random.Generator, dataset: int) -> _Rows:
        candidates = self.pools[dataset].cross_lingual_groups

        def draw(count: int) -> _Rows:
            pairs = self._pairs[dataset].find(rng.random(count))
            query_langs, passage_langs = np.divmod(pairs, len(self.langs))
            groups = self.pools[dataset].draw(query_langs, passage_langs, rng.random(count))
            return _Rows(groups, query_langs, passage_langs)

        rows, repeated = self._fill(draw)
        if len(places := self._fill_up(rng, rows, repeated, candidates)):
            pairs = self._any_pair(rng, dataset, rows.groups[places])
            rows.query_langs[places], rows.passage_langs[places] = pairs
        return rows

    def _fill(self, draw: Callable[[int], _Rows]) -> tuple[_Rows, IntArray]:
        """Draw rows until all meanings differ, or until luck is unlikely to bring it about.

        Returns:
            The rows, and the places whose meaning an earlier row has.
        """
        rows = draw(self.config.size)
        for _ in range(_REDRAWS):
            repeated = self._repeated_places(rows)
            if not len(repeated):
                return rows, repeated
            for column, redrawn in zip(rows, draw(len(repeated)), strict=True):
                column[repeated] = redrawn
        return rows, self._repeated_places(rows)

    def _repeated_places(self, rows: _Rows) -> IntArray:
        return np.flatnonzero(_repeated(self.table.meaning.take(rows.groups)))

    def _fill_up(
        self,
        rng: np.random.Generator,
        rows: _Rows,
        places: IntArray,
        candidates: Callable[[], IntArray],
    ) -> IntArray:
        """Give the places with repeated meanings to candidates of unused ones; return the places.

        There are such places when a batch is nearly as large as its pool.
        """
        if len(places):
            meaning = self.table.meaning
            used = np.delete(meaning[rows.groups], places)
            groups = candidates()
            spare = rng.permutation(groups[~np.isin(meaning[groups], used)])
            rows.groups[places] = spare[~_repeated(meaning[spare])][: len(places)]
        return places

    def _any_pair(
        self, rng: np.random.Generator, dataset: int, groups: IntArray
    ) -> tuple[IntArray, IntArray]:
        """Draw an ordered pair of languages for each group, by the weights of the pairs."""
        query = self.table.query[groups] != ABSENT
        passage = self.table.passage[groups] != ABSENT
        pairs = query[:, :, None] & passage[:, None, :]
        weights = (pairs * self.weights.pairs[dataset]).reshape(len(groups), -1)
        ends = np.cumsum(weights, axis=1)
        picked = (ends <= rng.random((len(groups), 1)) * ends[:, -1:]).sum(axis=1)
        query_langs, passage_langs = np.divmod(picked, len(self.langs))
        return query_langs, passage_langs

    def _draw_negatives(
        self, rng: np.random.Generator, kind: str, dataset: int, rows: _Rows
    ) -> tuple[IntArray, IntArray]:
        if self.config.negatives_per_query == 0:
            none = np.zeros((len(rows.groups), 0), dtype=np.int64)
            return none, none
        in_query_lang = rows.query_langs[:, None] == np.arange(len(self.langs))
        wanted = "query" if kind == MONOLINGUAL else self.config.negative_languages
        allowed = {
            "query": in_query_lang,
            "other": ~in_query_lang,
            "any": np.ones_like(in_query_lang),
        }[wanted]
        return draw_negatives(
            rng,
            self.table,
            self.pools[dataset],
            rows.groups,
            allowed,
            self.config.negatives_per_query,
            or_any_language=kind == CROSS_LINGUAL and wanted == "query",
        )

    def _draw_parallels(self, index: int, rows: _Rows) -> tuple[Texts, Texts]:
        if not self.parallels:
            return no_texts(self.config.size), no_texts(self.config.size)
        rng = self._random_parallels.at(index)
        return (
            draw_parallels(rng, self.table.query, rows.groups, rows.query_langs),
            draw_parallels(rng, self.table.passage, rows.groups, rows.passage_langs),
        )


def _ends(weights: FloatArray) -> FloatArray:
    """Return the running sum of weights, scaled to end at 1."""
    ends = np.cumsum(weights)
    return ends / ends[-1] if len(ends) and ends[-1] > 0 else ends


def _pick(ends: FloatArray, uniform: FloatArray) -> IntArray:
    """Return positions drawn by weight; ``uniform`` in [0, 1) never picks a weight of 0."""
    picked: IntArray = np.searchsorted(ends, uniform, side="right")
    return picked


def _repeated(values: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
    """Mark every value that occurred before.

    Only values that share a bucket with another are compared; sorting them all takes longer.
    """
    places = np.arange(len(values))
    mask = (1 << min(20, (16 * len(values)).bit_length())) - 1
    bucket = (values & mask).astype(np.int64)
    owner = np.empty(mask + 1, dtype=np.int64)
    owner[bucket] = places  # of several places, any one
    owners = owner.take(bucket)
    repeated: npt.NDArray[np.bool_] = owners != places
    others = np.flatnonzero(repeated)
    if len(others):
        shared = np.union1d(others, owners[others])
        _, first = np.unique(values[shared], return_index=True)
        repeated[shared] = True
        repeated[shared[first]] = False
    return repeated
