"""The one pass over the scores: how many passages of each language rank above a relevant one.

These counts give the rank of every relevant passage in every pool: its own language's count in that
language's pool, the sum of all counts in the pool of all languages. No measures here.

Order is trec_eval's: score, then doc id, both descending. Equal vectors get equal scores although
a matrix product may round the same dot product differently in two columns.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isoglot.data.collection import Collection
from isoglot.errors import ConfigError, DataError
from isoglot.evaluation.vectors import first_copies
from isoglot.records import Passage

__all__ = [
    "Counts",
    "PassageOrder",
    "Ranking",
    "Relevant",
    "count_higher",
    "order_passages",
    "relevant_passages",
]


@dataclass(frozen=True)
class Relevant:
    """The relevant passages of every query, in compressed sparse rows."""

    indptr: NDArray[np.int64]
    """(queries + 1,): the pairs of query i are ``indptr[i]:indptr[i + 1]``."""
    passages: NDArray[np.int64]
    """(pairs,): row of the passage in the collection."""
    gains: NDArray[np.float64]
    """(pairs,): the judged relevance, above 0."""

    @property
    def queries(self) -> NDArray[np.int64]:
        """(pairs,): row of the query in the collection."""
        return np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))


@dataclass(frozen=True)
class PassageOrder:
    """Passages brought into an order in which each language is one slice."""

    langs: tuple[str, ...]
    """Passage languages, sorted."""
    rows: NDArray[np.int64]
    """(passages,): row in the collection of each position."""
    slices: tuple[slice, ...]
    """The positions of each language."""
    id_ranks: NDArray[np.int64]
    """(passages,): place of the doc id among all doc ids sorted as strings, by position."""

    @property
    def positions(self) -> NDArray[np.int64]:
        """(passages,): position of each row of the collection."""
        positions = np.empty_like(self.rows)
        positions[self.rows] = np.arange(len(self.rows))
        return positions


@dataclass(frozen=True)
class Ranking:
    """The best passages of every query in the pool of all languages, best first."""

    passages: NDArray[np.int32]
    """(queries, depth): row in the collection."""
    scores: NDArray[np.float32]
    """(queries, depth)."""


@dataclass(frozen=True)
class Counts:
    """What one pass over the scores gives."""

    higher: NDArray[np.int32]
    """(pairs, passage languages): passages of the language that rank above the pair's passage."""
    ranking: Ranking | None
    """The head of the ranking, if a depth was asked for."""


def relevant_passages(collection: Collection) -> Relevant:
    """Collect the judgments above 0, ordered by query."""
    query_rows = {(query.lang, query.query_id): i for i, query in enumerate(collection.queries)}
    passage_rows = {passage.doc_id: i for i, passage in enumerate(collection.passages)}
    qrels = [qrel for qrel in collection.qrels if qrel.relevance > 0]
    queries = np.array([query_rows[q.query_lang, q.query_id] for q in qrels], dtype=np.int64)
    passages = np.array([passage_rows[q.doc_id] for q in qrels], dtype=np.int64)
    gains = np.array([q.relevance for q in qrels], dtype=np.float64)
    order = np.argsort(queries, kind="stable")
    pairs_per_query = np.bincount(queries, minlength=len(collection.queries))
    indptr = np.concatenate([[0], np.cumsum(pairs_per_query)]).astype(np.int64)
    return Relevant(indptr, passages[order], gains[order])


def order_passages(passages: Sequence[Passage]) -> PassageOrder:
    """Bring passages into language order and rank their doc ids."""
    langs = sorted({passage.lang for passage in passages})
    lang_numbers = {lang: number for number, lang in enumerate(langs)}
    numbers = np.array([lang_numbers[passage.lang] for passage in passages], dtype=np.int64)
    rows = np.argsort(numbers, kind="stable").astype(np.int64)
    bounds = np.searchsorted(numbers[rows], np.arange(len(langs) + 1))
    id_ranks = np.empty(len(passages), dtype=np.int64)
    # Code point order of str is byte order of UTF-8, which is what trec_eval compares.
    id_ranks[sorted(range(len(passages)), key=lambda row: passages[row].doc_id)] = np.arange(
        len(passages)
    )
    return PassageOrder(
        langs=tuple(langs),
        rows=rows,
        slices=tuple(itertools.starmap(slice, itertools.pairwise(bounds.tolist()))),
        id_ranks=id_ranks[rows],
    )


def count_higher(
    queries: NDArray[np.float32],
    passages: NDArray[np.float32],
    relevant: Relevant,
    order: PassageOrder,
    *,
    depth: int = 0,
    memory_mb: int = 128,
) -> Counts:
    """Count, for every relevant passage, the passages of each language that rank above it.

    Exact at full depth. Per relevant passage one comparison with the query's whole row of scores is
    faster than sorting the row, and ties cost nothing where there are none.

    Args:
        queries: (queries, dim), as ``prepare_vectors`` returns them.
        passages: (passages, dim), likewise, in the order of the collection.
        relevant: The pairs to count for.
        order: Of the same passages.
        depth: Length of the ranking to keep per query; 0 keeps none.
        memory_mb: Budget for scores, in MiB. A copy of the passages comes on top.

    Raises:
        ConfigError: If ``depth`` is negative or ``memory_mb`` is not positive.
        DataError: If queries and passages have different dimensions.
    """
    if depth < 0:
        raise ConfigError(f"run depth is {depth}; use 0 for no run, or a positive number")
    if memory_mb <= 0:
        raise ConfigError(f"memory_mb is {memory_mb}; give the scores at least 1 MiB")
    if queries.shape[1] != passages.shape[1]:
        raise DataError(
            f"query embeddings have {queries.shape[1]} dimensions, passage embeddings have "
            f"{passages.shape[1]}; encode both with the same model"
        )
    depth = min(depth, len(passages))
    targets = order.positions[relevant.passages]
    higher = np.zeros((len(targets), len(order.langs)), dtype=np.int32)
    head = np.empty((len(queries), depth), dtype=np.int32)
    head_scores = np.empty((len(queries), depth), dtype=np.float32)
    counter = _RowCounter(order)
    for query, scores in _score_rows(queries, passages[order.rows], memory_mb):
        for pair in range(relevant.indptr[query], relevant.indptr[query + 1]):
            higher[pair] = counter.count(scores, targets[pair])
        if depth:
            positions = _best(scores, order.id_ranks, depth)
            head[query] = order.rows[positions]
            head_scores[query] = scores[positions]
    return Counts(higher, Ranking(head, head_scores) if depth else None)


def _score_rows(
    queries: NDArray[np.float32], passages: NDArray[np.float32], memory_mb: int
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield (query, its scores), computed in blocks; a row is valid until the next one."""
    originals = first_copies(passages)
    copies = np.flatnonzero(originals != np.arange(len(originals)))
    bytes_per_query = 4 * (len(passages) + len(copies))  # the copies pass through a second array
    block = int(np.clip((memory_mb << 20) // bytes_per_query, 1, len(queries)))
    buffer = np.empty((block, len(passages)), dtype=np.float32)
    for start in range(0, len(queries), block):
        part = queries[start : start + block]
        scores = np.matmul(part, passages.T, out=buffer[: len(part)])  # (block, passages)
        scores[:, copies] = scores[:, originals[copies]]
        yield from enumerate(scores, start)


class _RowCounter:
    """Counts in one row of scores; holds the array that every comparison writes into."""

    def __init__(self, order: PassageOrder) -> None:
        self._id_ranks = order.id_ranks
        self._bounds = np.array([part.stop for part in order.slices])
        self._above = np.empty(len(order.rows), dtype=np.bool_)
        self._above_by_lang = [self._above[part] for part in order.slices]

    def count(self, scores: NDArray[np.float32], target: np.int64) -> NDArray[np.int64]:
        """Return how many positions rank above ``target``: (passage languages,)."""
        np.equal(scores, scores[target], out=self._above)
        ties = np.flatnonzero(self._above) if np.count_nonzero(self._above) > 1 else None
        np.greater(scores, scores[target], out=self._above)
        higher = np.array([np.count_nonzero(above) for above in self._above_by_lang])
        if ties is not None:
            ties = ties[self._id_ranks[ties] > self._id_ranks[target]]
            langs = np.searchsorted(self._bounds, ties, side="right")
            higher += np.bincount(langs, minlength=len(higher))
        return higher


def _best(
    scores: NDArray[np.float32], id_ranks: NDArray[np.int64], depth: int
) -> NDArray[np.int64]:
    """Return the positions of the ``depth`` best scores, best first, equal scores by doc id."""
    last = len(scores) - depth
    # Every position that ties with the last place is a candidate; the doc id decides among them.
    candidates = np.flatnonzero(scores >= np.partition(scores, last)[last])
    best_first = np.lexsort((-id_ranks[candidates], -scores[candidates]))
    return candidates[best_first[:depth]]
