"""Rankings of limited depth, from TREC runs: the same counts, as far as they go. No measures.

Any system can be compared in this way, whatever it is made of. What a run does not hold is not
known, so its depth goes with every figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from isoglot.data.collection import Collection
from isoglot.errors import ConfigError, DataError
from isoglot.evaluation.passages import PassageTable, Relevant, passage_table, rows_of
from isoglot.evaluation.ranking import NO_PASSAGE, Ranking, best_first
from isoglot.records import ScoredDoc

__all__ = ["count_in_ranking", "ranking_from_runs"]

_LARGEST_SCORE = float(np.finfo(np.float32).max)
_MARKS = 1 << 20
"""Cells of the tables that a block of queries needs, unless there are more passages."""


def ranking_from_runs(
    collection: Collection, runs: Mapping[str, Iterable[ScoredDoc]], *, depth: int | None = None
) -> Ranking:
    """Bring TREC runs into the order of the collection, best passages first.

    Scores are compared as float32, like those of trec_eval.

    Args:
        collection: Queries and passages that the runs speak of.
        runs: Results by query language.
        depth: Passages to keep per query; default: as many as the longest list has.

    Returns:
        One ranking for all queries; a query without results has an empty one.

    Raises:
        ConfigError: If ``depth`` is not positive.
        DataError: If a run names a query or passage that the collection does not have, a passage
            twice for a query, or a score that float32 cannot hold.
    """
    if depth is not None and depth < 1:
        raise ConfigError(f"the depth of runs is {depth}; take 1 passage per query or more")
    query_rows = {(query.lang, query.query_id): i for i, query in enumerate(collection.queries)}
    results = [(lang, result) for lang, run in runs.items() for result in run]
    passages = rows_of(collection.passages, [result.doc_id for _, result in results])
    lists: dict[int, dict[int, float]] = {}
    for (lang, (query_id, doc_id, score)), passage in zip(results, passages.tolist(), strict=True):
        query = query_rows.get((lang, query_id))
        if query is None or passage < 0:
            what = f"query {query_id!r}" if query is None else f"passage {doc_id!r}"
            raise DataError(
                f"the run of {lang!r} names {what}, which {collection.name} does not have; "
                "evaluate it on the benchmark it was made for"
            )
        found = lists.setdefault(query, {})
        if passage in found or not abs(score) <= _LARGEST_SCORE:
            fault = "twice" if passage in found else f"with the score {score!r}"
            raise DataError(
                f"the run of {lang!r} names passage {doc_id!r} {fault} for query {query_id!r}; "
                "give each passage once, with a score that float32 can hold"
            )
        found[passage] = score
    longest = max(map(len, lists.values()), default=0)
    kept = min(depth or longest, longest)
    return _pack(lists, len(collection.queries), kept, passage_table(collection.passages))


def _pack(
    lists: Mapping[int, Mapping[int, float]], queries: int, depth: int, table: PassageTable
) -> Ranking:
    passages = np.full((queries, depth), NO_PASSAGE, dtype=np.int32)
    packed_scores = np.full((queries, depth), -np.inf, dtype=np.float32)
    for query, found in lists.items():
        rows = np.fromiter(found, dtype=np.int32, count=len(found))
        scores = np.fromiter(found.values(), dtype=np.float32, count=len(found))
        order = best_first(scores, rows, table)[:depth]
        passages[query, : len(order)] = rows[order]
        packed_scores[query, : len(order)] = scores[order]
    return Ranking(passages, packed_scores)


def count_in_ranking(
    ranking: Ranking, relevant: Relevant, table: PassageTable
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Count, for every relevant passage, the passages of each language above it in a ranking.

    Args:
        ranking: Of the queries of ``relevant``, best first.
        relevant: The pairs to count for.
        table: Languages of the passages.

    Returns:
        (pairs, passage languages) counts, 0 where the ranking does not hold the passage; and
        (pairs,) whether it does.
    """
    higher = np.zeros((len(relevant.passages), len(table.langs)), dtype=np.int32)
    ranked = np.zeros(len(relevant.passages), dtype=np.bool_)
    # A row more: what stands behind the last passage of a ranking is in no language.
    numbers = np.append(table.lang_numbers, len(table.langs))
    # A mark for every passage of every query in a block: the cost of finding the relevant ones does
    # not depend on how many there are. The last column stands for NO_PASSAGE and stays unmarked.
    width = len(table) + 1
    size = int(np.clip(_MARKS // width, 1, len(ranking.passages)))
    marks = np.zeros((size, width), dtype=np.bool_)
    pair_of = np.empty((size, width), dtype=np.int32)
    starts = width * np.arange(size)[:, None]
    for start in range(0, len(ranking.passages), size):
        head = ranking.passages[start : start + size]
        if (head[:, -1:] == NO_PASSAGE).any():  # lists are filled from the left
            head = np.where(head == NO_PASSAGE, len(table), head)
        bounds = relevant.indptr[start : start + len(head) + 1]
        passages = relevant.passages[bounds[0] : bounds[-1]]
        rows = np.repeat(np.arange(len(head)), np.diff(bounds))
        marks[rows, passages] = True
        pair_of[rows, passages] = np.arange(bounds[0], bounds[-1])
        found = marks.ravel().take(starts[: len(head)] + head)
        queries, columns = np.nonzero(found)
        pairs = pair_of[queries, head[queries, columns]]
        marks[rows, passages] = False
        ranked[pairs] = True
        higher[pairs] = _count_before(numbers.take(head), queries, columns, len(table.langs))
    return higher, ranked


def _count_before(
    numbers: NDArray[np.int32], rows: NDArray[np.intp], columns: NDArray[np.intp], langs: int
) -> NDArray[np.integer]:
    """Count each language left of some places: (places, languages).

    Args:
        numbers: (queries, depth), the language of every passage of the rankings.
        rows: (places,).
        columns: (places,).
        langs: Number of languages; this number stands for none.
    """
    # Several counters share one 64-bit word, for one running sum per word and not per language.
    counter = np.uint16 if numbers.shape[1] < 1 << 16 else np.uint32
    per_word = 8 // counter().itemsize
    one_hot = np.zeros((langs + 1, -(-(langs + 1) // per_word) * per_word), dtype=counter)
    one_hot[np.arange(langs + 1), np.arange(langs + 1)] = 1
    before = np.empty((len(rows), one_hot.shape[1]), dtype=counter)
    for word, column in zip(before.view(np.uint64).T, one_hot.view(np.uint64).T, strict=True):
        word[:] = np.cumsum(column.take(numbers), axis=1)[rows, columns]
    before[np.arange(len(rows)), numbers[rows, columns]] -= 1  # the place itself
    return before[:, :langs]
