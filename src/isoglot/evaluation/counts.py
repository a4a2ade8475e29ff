"""The one pass over the scores: how many passages of each language rank above a relevant one.

These counts give the rank of every relevant passage in every pool: its own language's count in that
language's pool, the sum of all counts in the pool of all languages. No measures here.

Order is trec_eval's: score, then doc id, both descending. Passages come in blocks, and every
passage is scored once, so that memory is bounded and a passage has one score only. The first block
holds all relevant passages and all that have a twin: from then on the scores to beat are known, and
no tie is broken by the rounding of a matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from isoglot.errors import ConfigError, DataError
from isoglot.evaluation.passages import PassageTable, Relevant
from isoglot.evaluation.ranking import Ranking, RankingHead
from isoglot.evaluation.scoring import ScoreBlock, Scorer

__all__ = ["DEFAULT_MEMORY_MB", "Counts", "count_higher"]

DEFAULT_MEMORY_MB = 128
_BLOCK_PASSAGES = 65_536
"""At most this many passages at a time: a row of scores then stays in the processor's cache. The
first block may hold more: all relevant passages and all twins."""
_TILE_QUERIES = 512
"""Queries that a block of passages leaves room for: fewer make a slow matrix product."""
_PAIRS_AT_A_TIME = 32
"""Relevant passages of a query that are compared at a time."""


@dataclass(frozen=True)
class Counts:
    """What one pass over the scores gives."""

    higher: NDArray[np.int32]
    """(pairs, passage languages): passages of the language that rank above the pair's passage."""
    ranking: Ranking | None
    """The head of the ranking, if a depth was asked for."""


def count_higher(
    scorer: Scorer,
    relevant: Relevant,
    table: PassageTable,
    *,
    depth: int = 0,
    memory_mb: int = DEFAULT_MEMORY_MB,
) -> Counts:
    """Count, for every relevant passage, the passages of each language that rank above it.

    Exact at full depth. Per relevant passage one comparison with the query's scores is faster than
    sorting them, and ties cost nothing where there are none.

    Args:
        scorer: Scores the queries of ``relevant`` against the passages of ``table``.
        relevant: The pairs to count for.
        table: Languages and ids of the passages.
        depth: Length of the ranking to keep per query; 0 keeps none.
        memory_mb: Budget for scores, in MiB. A block of passages (65,536 at most, but for the first
            one), about 45 bytes per passage to plan blocks and find twins and, per query, the
            ranking and the counts come on top.

    Raises:
        ConfigError: If ``depth`` is negative or ``memory_mb`` is not positive.
        DataError: If an embedding cannot be scored, a score is not a number, or there are scores
            for more or fewer passages.
    """
    if depth < 0:
        raise ConfigError(f"run depth is {depth}; use 0 for no run, or a positive number")
    if memory_mb <= 0:
        raise ConfigError(f"memory_mb is {memory_mb}; give the scores at least 1 MiB")
    if scorer.size != len(table):
        raise DataError(f"scores for {scorer.size} passages, the collection has {len(table)}")
    counting = _Counting(relevant, table, depth)
    budget = memory_mb << 20
    for number, rows in enumerate(_plan_blocks(scorer, relevant, table, budget)):
        block = _Block(rows, table, relevant if number == 0 else None)
        counting.take(block, scorer.block(rows), budget)
    return Counts(counting.higher, counting.head.ranking())


def _plan_blocks(
    scorer: Scorer, relevant: Relevant, table: PassageTable, budget: int
) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of each block, every row once, each block in the order of languages."""
    by_lang = np.argsort(table.lang_numbers, kind="stable").astype(np.int64)
    size = int(np.clip(budget // (4 * _TILE_QUERIES), 1, _BLOCK_PASSAGES))
    if len(table) <= size:
        yield by_lang
        return
    first = np.zeros(len(table), dtype=np.bool_)
    first[relevant.passages] = True
    first[scorer.twins()] = True
    yield by_lang[first[by_lang]]
    rest = by_lang[~first[by_lang]]
    for start in range(0, len(rest), size):
        yield rest[start : start + size]


class _Block:
    """The passages of one block and where their languages are."""

    def __init__(
        self, rows: NDArray[np.int64], table: PassageTable, relevant: Relevant | None
    ) -> None:
        """Take the rows, in the order of languages; the first block holds all relevant ones."""
        self.rows = rows
        self.langs, starts = np.unique(table.lang_numbers[rows], return_index=True)
        """(languages of the block,)."""
        self.starts = starts
        """(languages of the block,): the first passage of each."""
        self.above = np.empty((_PAIRS_AT_A_TIME, len(rows)), dtype=np.bool_)
        """What comparisons write, and so ``equal``."""
        self.equal = np.empty_like(self.above)
        self.counter = np.uint16 if len(rows) < 1 << 16 else np.uint32
        self._table = table
        self.targets: NDArray[np.intp] | None = None
        """(pairs,): where each relevant passage is, in the first block."""
        if relevant is not None:
            by_row = np.argsort(rows)
            self.targets = by_row[np.searchsorted(rows, relevant.passages, sorter=by_row)]

    @cached_property
    def id_ranks(self) -> NDArray[np.int32]:
        """(passages of the block,): as of the table; narrow, for ties are compared often."""
        return self._table.id_ranks[self.rows].astype(np.int32)


class _Counting:
    """The counts and the head of the ranking, growing block by block."""

    def __init__(self, relevant: Relevant, table: PassageTable, depth: int) -> None:
        self._relevant = relevant
        self._table = table
        self._queries = len(relevant.indptr) - 1
        self.higher = np.zeros((len(relevant.passages), len(table.langs)), dtype=np.int32)
        self.head = RankingHead(self._queries, depth, table)
        self._scores_to_beat = np.empty(len(relevant.passages), dtype=np.float32)
        self._lowest = np.full(self._queries, np.inf, dtype=np.float32)
        """(queries,): the lowest score to beat of each query; infinity without any."""

    def take(self, block: _Block, scored: ScoreBlock, budget: int) -> None:
        """Score a block for all queries, as many at a time as the budget in bytes allows."""
        size = int(np.clip(budget // (4 * len(block.rows)), 1, self._queries))
        buffer = np.empty((size, len(block.rows)), dtype=np.float32)
        for start in range(0, self._queries, size):
            scores = buffer[: min(size, self._queries - start)]
            queries = slice(start, start + len(scores))
            scored.scores(queries, scores)
            if block.targets is not None:
                self._read_scores_to_beat(block.targets, queries, scores)
            for query, row in enumerate(scores, start):
                best = row.max()
                if best != best:  # NaN compares false and would rank first
                    raise DataError(f"the scores of query {query} (from 0) hold NaN")
                if best >= self._lowest[query]:
                    self._count(block, query, row)
                if best >= self.head.last_score(query):
                    self.head.add(query, row, block.rows)

    def _read_scores_to_beat(
        self, targets: NDArray[np.intp], queries: slice, scores: NDArray[np.float32]
    ) -> None:
        bounds = self._relevant.indptr[queries.start : queries.stop + 1]
        pairs = slice(int(bounds[0]), int(bounds[-1]))
        rows = np.repeat(np.arange(len(scores)), np.diff(bounds))
        self._scores_to_beat[pairs] = scores[rows, targets[pairs]]
        np.minimum.at(self._lowest[queries], rows, self._scores_to_beat[pairs])

    def _count(self, block: _Block, query: int, scores: NDArray[np.float32]) -> None:
        """Add what one query's scores in a block hold above its relevant passages."""
        first, last = self._relevant.indptr[query : query + 2].tolist()
        for start in range(first, last, _PAIRS_AT_A_TIME):
            pairs = slice(start, min(start + _PAIRS_AT_A_TIME, last))
            to_beat = self._scores_to_beat[pairs, None]
            above, equal = block.above[: len(to_beat)], block.equal[: len(to_beat)]
            np.greater(scores, to_beat, out=above)
            np.equal(scores, to_beat, out=equal)
            # In the first block every relevant passage equals itself.
            if np.count_nonzero(equal) > (len(to_beat) if block.targets is not None else 0):
                own_ids = self._table.id_ranks[self._relevant.passages[pairs], None]
                above |= equal & (block.id_ranks > own_ids)
            # Of the ways to count by language this is the fastest by far.
            counts = np.add.reduceat(
                above.view(np.uint8), block.starts, axis=1, dtype=block.counter
            )
            self.higher[pairs, block.langs] += counts
