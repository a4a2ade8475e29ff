"""A Milvus collection as a search sees it, and its changes.

Languages are searched one by one, each by a filter on the partition key. Milvus could group its
results by language, but a group that has nothing among the first candidates is not in the answer.

Keys are doc ids. Passages may be changed while others search: what is gone scores minus infinity
and has an empty text.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.encoding.shards import Origin
from isoglot.errors import ArtifactError, ConfigError, DataError
from isoglot.records import Passage
from isoglot.retrieval.engine import SAMPLE, Candidates, refuse_other_encoder
from isoglot.retrieval.milvus.collection import (
    Record,
    choose_index,
    create_collection,
    read_record,
    search_params,
    write_record,
)
from isoglot.retrieval.milvus.connection import Connection, parse_target
from isoglot.retrieval.milvus.entities import (
    DRAWS,
    batches,
    check_passage,
    entity,
    has_ids,
    id_slices,
    in_language,
)

__all__ = ["MilvusEngine"]

_COUNTS_S = 60.0
"""Seconds after which passages are counted again, for others may have added some."""
_MOST_FOUND = 16_384
"""The most results Milvus returns."""
_QUERIES_AT_A_TIME = 256
_IDS_AT_A_TIME = 1000
_WRITE_S = 120.0
_FLUSH_S = 600.0
_LOAD_S = 600.0
"""For a cluster that has put the collection away; else it is there at once."""


class _Counts(NamedTuple):
    sizes: Mapping[str, int]
    at: float
    """When they were counted."""
    changes: int
    """How many changes by this engine had ended when counting began."""


class MilvusEngine:
    """A collection, open for search and for changes; many threads may search at once.

    One process at a time may change it.
    """

    def __init__(self, connection: Connection, record: Record) -> None:
        self._connection = connection
        self._record = record
        self._counts: _Counts | None = None
        self._changes = 0
        self._samples: dict[str, tuple[int, NDArray[np.float32]]] = {}
        self._counting = threading.Lock()

    @classmethod
    def open(cls, target: str) -> MilvusEngine:
        """Open a complete collection.

        Args:
            target: ``ADDRESS`` or ``ADDRESS#COLLECTION``: see `parse_target`.

        Raises:
            ConfigError: If it is no address, pymilvus is not installed or the token is refused.
            ArtifactError: If the server cannot be reached, or the collection is not there, is
                unfinished or is none of ours.
        """
        address, name = parse_target(target)
        if address.endswith(".db") and not Path(address).exists():
            raise ArtifactError(f"{address}: no such file; make it with isoglot index")
        connection = Connection(address, name)
        record = read_record(connection)
        if not record.complete:
            done = ", ".join(f"{n.rows:,} in {lang}" for lang, n in sorted(record.loading.items()))
            raise ArtifactError(
                f"{connection.where}: loading of collection {name!r} was not finished "
                f"(passages so far: {done or 'none'}); run the same isoglot index again, it "
                "continues there"
            )
        connection.call("load_collection", seconds=_LOAD_S)
        return cls(connection, record)

    @classmethod
    def create(cls, target: str, origin: Origin, rows: int) -> MilvusEngine:
        """Open a collection for changes, complete or not; make it if it is not there.

        Args:
            target: ``ADDRESS`` or ``ADDRESS#COLLECTION``.
            origin: What makes the vectors.
            rows: Passages expected, by which the kind of index is chosen for a new one.

        Raises:
            ConfigError: As `open`.
            ArtifactError: As `open`, and if the collection holds vectors of another encoder.
        """
        connection = Connection(*parse_target(target))
        if connection.call("has_collection"):
            record = read_record(connection)
            where = f"{connection.where}: the collection {connection.collection!r}"
            advice = "name another collection: ADDRESS#COLLECTION"
            refuse_other_encoder(where, record.origin, origin, advice)
            connection.call("load_collection", seconds=_LOAD_S)
        else:
            index = choose_index(rows, origin.dim, lite=connection.is_lite)
            record = create_collection(connection, origin, index)
        return cls(connection, record)

    @property
    def where(self) -> str:
        """Address and collection, without credentials."""
        return f"{self._connection.where}#{self._connection.collection}"

    @property
    def is_lite(self) -> bool:
        """Whether it is Milvus Lite, in this process."""
        return self._connection.is_lite

    @property
    def record(self) -> Record:
        """What the collection holds."""
        return self._record

    @property
    def origin(self) -> Origin:
        """What made the vectors."""
        return self._record.origin

    @property
    def index(self) -> str:
        """Kind of the index, as Milvus calls it."""
        return self._record.index

    @property
    def has_words(self) -> bool:
        """Whether BM25 can be asked."""
        return False

    @property
    def languages(self) -> list[str]:
        """Languages that have passages, sorted."""
        return list(self.sizes)

    @property
    def sizes(self) -> Mapping[str, int]:
        """Passages by language, counted again after a change and every minute."""
        with self._counting:
            counts = self._counts
            if counts is not None and self._is_old(counts):
                self._record = read_record(self._connection)
                counts = None
            if counts is None or counts.changes != self._changes:
                counts = self._counts = self._count()
            return counts.sizes

    def search(self, lang: str, queries: NDArray[np.float32], k: int) -> Candidates:
        """Return the best passages of a language; see `Engine`.

        Raises:
            ConfigError: If the vectors have another dimension than those of the collection.
            ArtifactError: If Milvus does not answer.
        """
        self._check_dim(queries)
        k = min(k, _MOST_FOUND)
        most = 0
        keys = np.full((len(queries), k), "", dtype=object)
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        for start in range(0, len(queries), _QUERIES_AT_A_TIME):
            answers = self._connection.call(
                "search",
                data=list(queries[start : start + _QUERIES_AT_A_TIME]),
                filter=in_language(lang),
                limit=k,
                search_params=search_params(self.index, k),
                output_fields=["doc_id"],
            )
            for row, hits in enumerate(answers, start):
                keys[row, : len(hits)] = [hit["doc_id"] for hit in hits]
                scores[row, : len(hits)] = [hit["distance"] for hit in hits]
                most = max(most, len(hits))
        return Candidates(keys[:, :most], scores[:, :most])

    def search_words(self, lang: str, queries: Sequence[str], k: int) -> Candidates:
        """Refuse: words are not kept in Milvus.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            f"{self.where}: a collection of Milvus has no words to search; search without "
            "--words, or index into a folder"
        )

    def score(
        self, lang: str, queries: NDArray[np.float32], keys: NDArray[Any]
    ) -> NDArray[np.float32]:
        """Return the scores of named passages: (queries, keys per query)."""
        self._check_dim(queries)
        distinct = sorted(set(keys.ravel().tolist()))
        places = {doc_id: place for place, doc_id in enumerate(distinct)}
        wanted = np.array([places[doc_id] for doc_id in keys.ravel()], np.int64).reshape(keys.shape)
        scores = np.full(keys.shape, -np.inf, dtype=np.float32)
        for start in range(0, len(distinct), _IDS_AT_A_TIME):
            ids = distinct[start : start + _IDS_AT_A_TIME]
            found = {row["doc_id"]: row["vector"] for row in self._rows(ids, "vector")}
            block = np.full((len(queries), len(ids)), -np.inf, dtype=np.float32)
            there = [column for column, doc_id in enumerate(ids) if doc_id in found]
            vectors = np.array([found[ids[column]] for column in there], dtype=np.float32)
            block[:, there] = queries @ vectors.reshape(-1, self.origin.dim).T
            rows, columns = np.nonzero((wanted >= start) & (wanted < start + len(ids)))
            scores[rows, columns] = block[rows, wanted[rows, columns] - start]
        return scores

    def sample(self, lang: str) -> NDArray[np.float32]:
        """Return vectors of passages drawn by the hash of their ids: (up to `SAMPLE`, dim).

        They are kept until the number of passages changes.
        """
        size = self.sizes.get(lang, 0)
        known = self._samples.get(lang)
        if known is None or known[0] != size:
            known = self._samples[lang] = (size, self._draw(lang, size))
        return known[1]

    def passages(self, lang: str, keys: NDArray[Any]) -> list[Passage]:
        """Return ids and texts of some passages."""
        found = {row["doc_id"]: row for row in self._rows(keys.tolist(), "lang", "text")}
        return [
            Passage(doc_id, found[doc_id]["lang"], found[doc_id]["text"])
            if doc_id in found
            else Passage(doc_id, lang, "")
            for doc_id in keys.tolist()
        ]

    def known(self, doc_ids: Iterable[str]) -> set[str]:
        """Return which of some ids the collection has."""
        return {row["doc_id"] for row in self._rows(doc_ids)}

    def add(self, lang: str, passages: Sequence[Passage], vectors: NDArray[np.float32]) -> None:
        """Add passages of a language; one with a known id, in whatever language, is replaced.

        Args:
            lang: Their language.
            passages: In any number; of those that share an id the last counts.
            vectors: (passages, dim), of length 1 where the similarity is cosine.

        Raises:
            ConfigError: If the vectors have another dimension than those of the collection.
            DataError: If an id or text is longer than Milvus keeps; nothing is added then.
            ArtifactError: If Milvus does not take them; those before may be there.
        """
        self._check_dim(vectors)
        if len(passages) != len(vectors):
            raise DataError(f"{len(passages)} passages, and {len(vectors)} vectors; give as many")
        for passage in passages:
            check_passage(passage)
        self._enter_language(lang)
        rows = {passage.doc_id: row for row, passage in enumerate(passages)}
        try:
            for batch in batches(passages, rows.values(), vectors.shape[1]):
                data = [entity(lang, passages[row], vectors[row]) for row in batch]
                self._connection.call("upsert", seconds=_WRITE_S, data=data)
        finally:
            self._changes += 1

    def delete(self, doc_ids: Iterable[str]) -> int:
        """Delete passages and return how many there were."""
        known = sorted(self.known(doc_ids))
        try:
            for ids in id_slices(known, _IDS_AT_A_TIME):
                self._connection.call("delete", seconds=_WRITE_S, filter=has_ids(ids))
        finally:
            self._changes += 1
        return len(known)

    def flush(self) -> None:
        """Have Milvus write everything down and index it, to be called after many passages."""
        self._connection.call("flush", seconds=_FLUSH_S)

    def write_record(self, record: Record) -> None:
        """Replace what is recorded of the collection."""
        write_record(self._connection, record)
        self._record = record

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _check_dim(self, vectors: NDArray[np.float32]) -> None:
        if vectors.ndim != 2 or vectors.shape[1] != self.origin.dim:
            raise ConfigError(
                f"{self.where}: holds vectors of {self.origin.dim} numbers, not {vectors.shape}; "
                f"encode with {self.origin.model!r}"
            )

    def _enter_language(self, lang: str) -> None:
        """Record a language before its first passage: Milvus cannot list the values of a field."""
        if lang not in self._record.languages:
            self.write_record(read_record(self._connection).with_language(lang))

    def _is_old(self, counts: _Counts) -> bool:
        """Say whether others may have changed the collection since; none can with Milvus Lite."""
        return not self.is_lite and time.monotonic() - counts.at > _COUNTS_S

    def _count(self) -> _Counts:
        changes = self._changes
        sizes = {lang: self._count_language(lang) for lang in self._record.languages}
        there = {lang: size for lang, size in sizes.items() if size}
        return _Counts(there, time.monotonic(), changes)

    def _count_language(self, lang: str) -> int:
        answer = self._connection.call(
            "query",
            filter=in_language(lang),
            output_fields=["count(*)"],
            consistency_level="Strong",
        )
        return int(answer[0]["count(*)"])

    def _rows(self, doc_ids: Iterable[str], *fields: str) -> Iterator[Any]:
        """Yield the entities with some ids, in any order."""
        for ids in id_slices(doc_ids, _IDS_AT_A_TIME):
            yield from self._connection.call(
                "query", filter=has_ids(ids), output_fields=["doc_id", *fields]
            )

    def _draw(self, lang: str, size: int) -> NDArray[np.float32]:
        """Fetch the vectors of the passages with the lowest draws."""
        below = DRAWS if size <= SAMPLE else min(DRAWS, DRAWS * SAMPLE * 6 // (5 * size))
        while True:
            found = self._connection.call(
                "query",
                filter=f"{in_language(lang)} and draw < {below}",
                output_fields=["doc_id", "draw", "vector"],
                limit=_MOST_FOUND,
            )
            if len(found) >= SAMPLE or below == DRAWS:
                break
            below = min(DRAWS, below * 2)
        drawn = sorted(found, key=lambda row: (row["draw"], row["doc_id"]))[:SAMPLE]
        vectors = np.array([row["vector"] for row in drawn], dtype=np.float32)
        return vectors.reshape(-1, self.origin.dim)
