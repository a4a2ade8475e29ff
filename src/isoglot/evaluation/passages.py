"""What a ranking needs to know of passages and judgments, as arrays. No scores, no texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.data.collection import Collection
from isoglot.data.corpus import StoredPassages
from isoglot.records import Passage

__all__ = ["PassageTable", "Relevant", "passage_table", "relevant_passages", "rows_of"]


@dataclass(frozen=True)
class Relevant:
    """The relevant passages of every query, in compressed sparse rows."""

    indptr: NDArray[np.int64]
    """(queries + 1,): the pairs of query i are ``indptr[i]:indptr[i + 1]``."""
    passages: NDArray[np.int64]
    """(pairs,): row of the passage in the collection."""
    gains: NDArray[np.float64]
    """(pairs,): the judged relevance, above 0."""

    @cached_property
    def queries(self) -> NDArray[np.int64]:
        """(pairs,): row of the query in the collection, ascending."""
        return np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))


@dataclass(frozen=True)
class PassageTable:
    """Language and place in the order of ids of every passage."""

    langs: tuple[str, ...]
    """Passage languages, sorted."""
    lang_numbers: NDArray[np.int32]
    """(passages,): the passage's place in ``langs``."""
    doc_ids: Any
    """(passages,): a list, or a ``pyarrow.ChunkedArray`` of strings on disk."""

    def __len__(self) -> int:
        return len(self.lang_numbers)

    @property
    def pool_sizes(self) -> dict[str, int]:
        """Passages by language."""
        counts = np.bincount(self.lang_numbers, minlength=len(self.langs))
        return dict(zip(self.langs, counts.tolist(), strict=True))

    def ids_of(self, rows: NDArray[np.integer]) -> list[str]:
        """Return the doc ids of some rows, each looked up once."""
        unique, codes = np.unique(rows, return_inverse=True)
        ids = np.array([str(self.doc_ids[row]) for row in unique.tolist()], dtype=object)
        return list(ids[codes])

    @cached_property
    def id_ranks(self) -> NDArray[np.int64]:
        """(passages,): place of the doc id among all doc ids sorted as strings.

        Byte order of UTF-8, which is what trec_eval compares. Only ties need it, so that millions
        of ids are sorted only where there are any.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        stored = isinstance(self.doc_ids, pa.ChunkedArray)
        ids = self.doc_ids if stored else pa.array(self.doc_ids, pa.string())
        ranks = np.empty(len(self), dtype=np.int64)
        ranks[pc.sort_indices(ids).to_numpy()] = np.arange(len(self))
        return ranks


def passage_table(passages: Sequence[Passage]) -> PassageTable:
    """Bring languages and ids of passages into arrays."""
    if isinstance(passages, StoredPassages):
        return PassageTable(passages.langs, passages.lang_numbers, passages.doc_ids)
    langs = sorted({passage.lang for passage in passages})
    numbers = {lang: number for number, lang in enumerate(langs)}
    return PassageTable(
        langs=tuple(langs),
        lang_numbers=np.array([numbers[passage.lang] for passage in passages], dtype=np.int32),
        doc_ids=[passage.doc_id for passage in passages],
    )


def relevant_passages(collection: Collection) -> Relevant:
    """Collect the judgments above 0, ordered by query."""
    query_rows = {(query.lang, query.query_id): i for i, query in enumerate(collection.queries)}
    qrels = [qrel for qrel in collection.qrels if qrel.relevance > 0]
    queries = np.array([query_rows[q.query_lang, q.query_id] for q in qrels], dtype=np.int64)
    passages = rows_of(collection.passages, [qrel.doc_id for qrel in qrels])
    gains = np.array([q.relevance for q in qrels], dtype=np.float64)
    order = np.argsort(queries, kind="stable")
    pairs_per_query = np.bincount(queries, minlength=len(collection.queries))
    indptr = np.concatenate([[0], np.cumsum(pairs_per_query)]).astype(np.int64)
    return Relevant(indptr, passages[order], gains[order])


def rows_of(passages: Sequence[Passage], doc_ids: Sequence[str]) -> NDArray[np.int64]:
    """Return the row of each id, -1 where no passage has it: (ids,)."""
    if isinstance(passages, StoredPassages):
        return passages.rows_of(doc_ids)
    rows = {passage.doc_id: row for row, passage in enumerate(passages)}
    return np.array([rows.get(doc_id, -1) for doc_id in doc_ids], dtype=np.int64)
