"""Hard negatives: of each query, the best-scored passages that do not answer it, by language.

The choice only: where scores come from is handed in, so that there is no encoder here and a test
can say what every score is. What may be chosen, in words:

- a passage of another meaning, of the same data set, that the group does not list already;
- not one of the ``skip`` best of these in its language;
- only below a limit that is taken from the score of the query's own passage in that language.

Of what is left the highest scores are taken, ties by row of the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from isoglot.config.mining import MiningConfig
from isoglot.data.parallel import ABSENT, ParallelTable

__all__ = ["Candidates", "Mined", "Scores", "mine_dataset", "score_limits"]

IntArray = npt.NDArray[np.int64]
Integers = npt.NDArray[np.integer[Any]]
FloatArray = npt.NDArray[np.float32]
Tile = tuple[slice, slice, FloatArray]


class Scores(Protocol):
    """The scores of queries and passages, both given as rows of ``ParallelTable.texts``."""

    def tiles(self, queries: IntArray, passages: IntArray) -> Iterator[Tile]:
        """Yield all scores in parts: which queries, which passages, their scores.

        Of the same queries, parts come in the order of the passages. The array of scores may be
        written to, and is good until the next part.
        """
        ...

    def pairs(self, queries: IntArray, passages: IntArray) -> FloatArray:
        """Return the score of each query with the passage at the same place: (pairs,)."""
        ...


@dataclass(frozen=True)
class Mined:
    """The negatives of one data set. Queries are sorted by language, then by group."""

    group: IntArray
    """(queries,): group of the table."""
    lang: IntArray
    """(queries,): position of the query's language."""
    rows: IntArray
    """(queries, same + cross): rows of ``texts``, or ABSENT; same-language ones come first."""
    langs: IntArray
    """(queries, same + cross): position of the negative's language, or ABSENT."""
    sources: IntArray
    """(queries, same + cross): the first group with that passage, or ABSENT. Translations of one
    negative have one source."""
    scores: FloatArray
    """(queries, same + cross): minus infinity where there is none."""
    positives: FloatArray
    """(queries, same + cross): the score of the query's own passage that the negative was measured
    by, NaN where there is none."""
    seen: IntArray
    """(queries, 2, 3): for the same and for other languages, how many passages were candidates, how
    many of them came behind the skipped ones, and how many of those scored below the limit."""


def score_limits(positives: FloatArray, config: MiningConfig) -> FloatArray:
    """Return the scores that negatives must stay below: (queries,), infinity for no limit.

    The limit is the smaller one of ``p - (1 - max_share) * |p|`` and ``p - margin`` for the score
    ``p`` of a positive (arXiv 2407.15831 states ``p * max_share``, which is the same where scores
    are positive and would be above ``p`` where they are not).

    Args:
        positives: (queries,).
        config: Says which limits there are.
    """
    limits = np.full(len(positives), np.inf, dtype=np.float32)
    if config.max_share is not None:
        limits[:] = positives - np.float32(1 - config.max_share) * np.abs(positives)
    if config.margin > 0:
        np.minimum(limits, positives - np.float32(config.margin), out=limits)
    return limits


class Candidates:
    """Collects, for some queries, the best passages of one language below their limits.

    Exact for any number of blocks: what is above a limit is counted, not kept, so the depth that is
    needed is known beforehand.
    """

    def __init__(self, limits: FloatArray, depth: int) -> None:
        """Start with nothing.

        Args:
            limits: (queries,) scores to stay below.
            depth: Passages to keep per query.
        """
        self._limits = limits
        self.rows = np.full((len(limits), depth), ABSENT, dtype=np.int64)
        """(queries, depth): best first."""
        self.scores = np.full((len(limits), depth), -np.inf, dtype=np.float32)
        self.eligible = np.zeros(len(limits), dtype=np.int64)
        """(queries,): passages that were not hidden."""
        self.above = np.zeros(len(limits), dtype=np.int64)
        """(queries,): those of them that are not below the limit."""

    def add(
        self,
        queries: slice,
        rows: IntArray,
        scores: FloatArray,
        hidden: tuple[IntArray, IntArray],
    ) -> None:
        """Take the scores of some passages.

        Args:
            queries: Which queries.
            rows: (passages,) their rows, above those that came before for the same queries.
            scores: (queries, passages); overwritten.
            hidden: Positions in ``scores`` of what must not be chosen.
        """
        scores[hidden] = -np.inf
        self.eligible[queries] += (scores > -np.inf).sum(axis=1)
        above = scores >= self._limits[queries, None]
        self.above[queries] += above.sum(axis=1)
        scores[above] = -np.inf
        kept_rows, kept_scores = self.rows[queries], self.scores[queries]
        depth = min(kept_rows.shape[1], scores.shape[1])
        reach = np.partition(scores, -depth, axis=1)[:, -depth, None]
        # A later row loses a tie, so what only equals the last one kept is too late.
        new_query, column = np.nonzero((scores >= reach) & (scores > kept_scores[:, -1:]))
        old_query, slot = np.nonzero(kept_rows != ABSENT)
        query = np.concatenate([old_query, new_query])
        row = np.concatenate([kept_rows[old_query, slot], rows[column]])
        score = np.concatenate([kept_scores[old_query, slot], scores[new_query, column]])
        order = np.lexsort((row, -score, query))
        query = query[order]
        rank = np.arange(len(query)) - np.searchsorted(query, query)
        best = rank < kept_rows.shape[1]
        place = query[best], rank[best]
        kept_rows[place], kept_scores[place] = row[order][best], score[order][best]

    def behind(self, skip: int) -> IntArray:
        """Return how many passages there were, behind the skipped ones, and below the limit.

        Returns:
            (queries, 3).
        """
        below = self.eligible - np.maximum(self.above, skip)
        counts = np.stack([self.eligible, self.eligible - skip, below], axis=1)
        return np.maximum(counts, 0)

    def take(self, first: IntArray, wanted: IntArray) -> tuple[IntArray, FloatArray]:
        """Return the rows and scores from a rank on.

        Args:
            first: (queries,) rank to start from, among those below the limit.
            wanted: (queries,) how many; together with ``first`` at most the depth.

        Returns:
            Two arrays (queries, most wanted), ABSENT and minus infinity behind the last.
        """
        steps = np.arange(int(wanted.max()))
        slots = np.minimum(first[:, None] + steps, self.rows.shape[1] - 1)
        asked = (steps < wanted[:, None]) & (first[:, None] + steps < self.rows.shape[1])
        rows = np.where(asked, np.take_along_axis(self.rows, slots, axis=1), ABSENT)
        scores = np.take_along_axis(self.scores, slots, axis=1)
        return rows, np.where(rows != ABSENT, scores, np.float32(-np.inf))


def mine_dataset(
    table: ParallelTable,
    dataset: int,
    config: MiningConfig,
    scores: Scores,
    progress: Callable[[str, int], object] = lambda lang, queries: None,
) -> Mined:
    """Choose the negatives of every query of a data set.

    Negatives in other languages are shared out among them: the languages form a ring, at which
    every query starts one place further than the query before it, and each language in turn is
    asked for an equal share, rounded up, of what is still missing. So every pair of languages gets
    the same number, but for one, unless a language has too little; then the next ones give more,
    and what is missing after a whole round is asked of all once more.

    Args:
        table: The groups.
        dataset: Position of the data set.
        config: Quotas and limits.
        scores: Scores the texts of the table.
        progress: Told the language that was searched, and by how many queries.
    """
    miner = _Miner(table, dataset, config, scores, progress)
    miner.mine_same_language()
    miner.mine_other_languages()
    return miner.mined


@dataclass(frozen=True)
class _Pool:
    """The different passages of a data set in one language."""

    rows: IntArray
    """(passages,): rows of ``texts``, ascending."""
    meaning: Integers
    """(passages,)."""
    group: IntArray
    """(passages,): the first group that has it."""


def _pool(table: ParallelTable, members: IntArray, lang: int) -> _Pool:
    passages = table.passage[members, lang]
    there = passages != ABSENT
    rows, first = np.unique(passages[there], return_index=True)
    groups = members[there][first]
    return _Pool(rows, table.meaning[groups], groups)


class _Miner:
    """Asks the pools, one language after the other, and fills in what they give."""

    def __init__(
        self,
        table: ParallelTable,
        dataset: int,
        config: MiningConfig,
        scores: Scores,
        progress: Callable[[str, int], object],
    ) -> None:
        self._table, self._config, self._scores, self._progress = table, config, scores, progress
        members = np.flatnonzero(table.dataset == dataset)
        self._pools = [_pool(table, members, lang) for lang in range(len(table.langs))]
        lang, member = np.nonzero((table.query[members] != ABSENT).T)
        quota = config.same_language + config.cross_language
        shape = (len(lang), quota)
        self.mined = Mined(
            group=members[member],
            lang=lang.astype(np.int64),
            rows=np.full(shape, ABSENT, dtype=np.int64),
            langs=np.full(shape, ABSENT, dtype=np.int64),
            sources=np.full(shape, ABSENT, dtype=np.int64),
            scores=np.full(shape, -np.inf, dtype=np.float32),
            positives=np.full(shape, np.nan, dtype=np.float32),
            seen=np.zeros((len(lang), 2, 3), dtype=np.int64),
        )

    def mine_same_language(self) -> None:
        """Fill in the negatives in the queries' own languages."""
        quota = self._config.same_language
        for lang in range(len(self._pools) if quota else 0):
            queries = np.flatnonzero(self.mined.lang == lang)
            self._ask(queries, lang, np.full(len(queries), quota), 0, count=True)

    def mine_other_languages(self) -> None:
        """Fill in the negatives in other languages; see `mine_dataset`."""
        if not self._config.cross_language:
            return
        ring, sizes, start = self._rings()
        missing = np.full(len(sizes), self._config.cross_language)
        for lap in range(2):
            for step in range(int(sizes.max(initial=0))):
                queries = np.flatnonzero((missing > 0) & (step < sizes))
                left, size = missing[queries], sizes[queries]
                wanted = -(-left // (size - step)) if lap == 0 else left
                langs = ring[self.mined.lang[queries], (start[queries] + step) % size]
                for lang in np.unique(langs):
                    here = langs == lang
                    got = self._ask(queries[here], int(lang), wanted[here], 1, count=lap == 0)
                    missing[queries[here]] -= got

    def _rings(self) -> tuple[IntArray, IntArray, IntArray]:
        """Return the other languages by query language, and of each query how many, where from."""
        there = [lang for lang, pool in enumerate(self._pools) if len(pool.rows)]
        ring = np.full((len(self._pools), len(there)), ABSENT, dtype=np.int64)
        sizes = np.zeros(len(self._pools), dtype=np.int64)
        for lang in range(len(self._pools)):
            others = [other for other in there if other != lang]
            ring[lang, : len(others)], sizes[lang] = others, len(others)
        of = self.mined.lang
        number = np.arange(len(of)) - np.searchsorted(of, of)
        # Without the second term all queries of a group would ask the same languages.
        start = number + of * self._config.cross_language
        return ring, sizes[of], start % np.maximum(sizes[of], 1)

    def _ask(
        self, queries: IntArray, lang: int, wanted: IntArray, kind: int, *, count: bool
    ) -> IntArray:
        """Let queries search the passages of a language; return how many each one got.

        Args:
            queries: (queries,) positions in ``mined``.
            lang: Language of the passages.
            wanted: (queries,).
            kind: 0 for the queries' own language, 1 for another one.
            count: Whether to add to ``mined.seen``: each language counts once.
        """
        pool, mined = self._pools[lang], self.mined
        if not len(queries) or not len(pool.rows):
            return np.zeros(len(queries), dtype=np.int64)
        same = self._config.same_language
        slots = slice(same, None) if kind else slice(same)
        taken = (mined.langs[queries, slots] == lang).sum(axis=1)
        positives = self._positives(queries, lang)
        depth = self._config.skip + int((taken + wanted).max())
        best = Candidates(score_limits(positives, self._config), depth)
        rows = self._table.query[mined.group[queries], mined.lang[queries]]
        for part, passages, scores in self._scores.tiles(rows, pool.rows):
            hidden = self._hidden(mined.group[queries[part]], lang, passages)
            best.add(part, pool.rows[passages], scores, hidden)
        if count:
            mined.seen[queries, kind] += best.behind(self._config.skip)
        first = np.maximum(self._config.skip - best.above, 0) + taken
        got = self._fill(queries, lang, slots, best.take(first, wanted), positives)
        self._progress(self._table.langs[lang], len(queries))
        return got

    def _fill(
        self,
        queries: IntArray,
        lang: int,
        slots: slice,
        found: tuple[IntArray, FloatArray],
        positives: FloatArray,
    ) -> IntArray:
        """Write what was found behind what is there; return the counts: (queries,)."""
        mined, pool = self.mined, self._pools[lang]
        rows, scores = found
        query, column = np.nonzero(rows != ABSENT)
        filled = (mined.rows[queries, slots] != ABSENT).sum(axis=1)
        at = queries[query], (slots.start or 0) + filled[query] + column
        row = rows[query, column]
        mined.rows[at], mined.langs[at] = row, lang
        mined.sources[at] = pool.group[np.searchsorted(pool.rows, row)]
        mined.scores[at], mined.positives[at] = scores[query, column], positives[query]
        return np.bincount(query, minlength=len(queries))

    def _positives(self, queries: IntArray, lang: int) -> FloatArray:
        """Return the scores of the queries' own passages in a language, else the best: (queries,).

        A group has a passage in one language at least.
        """
        group = self.mined.group[queries]
        rows = self._table.query[group, self.mined.lang[queries]]
        scores = np.full(len(queries), np.nan, dtype=np.float32)
        there = self._table.passage[group, lang] != ABSENT
        scores[there] = self._scores.pairs(rows[there], self._table.passage[group[there], lang])
        for other in range(0 if there.all() else len(self._pools)):
            passages = self._table.passage[group, other]
            pick = ~there & (passages != ABSENT)
            scores[pick] = np.fmax(scores[pick], self._scores.pairs(rows[pick], passages[pick]))
        return scores

    def _hidden(self, groups: IntArray, lang: int, passages: slice) -> tuple[IntArray, IntArray]:
        """Return where a part of the scores holds what must not be chosen.

        Args:
            groups: (queries,) those of the queries.
            lang: Language of the passages.
            passages: Which of the pool.
        """
        pool = self._pools[lang]
        own = _equal_pairs(self._table.meaning[groups], pool.meaning[passages])
        if not self._config.keep_listed or not len(self._table.negative):
            return own
        start, stop = self._table.negative_start[groups], self._table.negative_start[groups + 1]
        query, listed = _ranges(start, stop)
        rows = pool.rows[passages]
        row = self._table.negative[listed, lang]
        column = np.minimum(np.searchsorted(rows, row), len(rows) - 1)
        there = rows[column] == row
        return np.concatenate([own[0], query[there]]), np.concatenate([own[1], column[there]])


def _equal_pairs(left: Integers, right: Integers) -> tuple[IntArray, IntArray]:
    """Return the positions of all pairs of equal values."""
    order = np.argsort(right, kind="stable")
    ordered = right[order]
    starts, stops = np.searchsorted(ordered, left), np.searchsorted(ordered, left, side="right")
    position, at = _ranges(starts, stops)
    return position, order[at]


def _ranges(starts: IntArray, stops: IntArray) -> tuple[IntArray, IntArray]:
    """Write out ranges: of each number the range it is of, and itself."""
    counts = stops - starts
    of = np.repeat(np.arange(len(starts)), counts)
    ends = np.cumsum(counts)
    within = np.arange(len(of)) - np.repeat(ends - counts, counts)
    return of, starts[of] + within
