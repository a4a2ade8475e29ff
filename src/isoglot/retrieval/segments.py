"""A segment: passages of one language with their index, in a folder that never changes.

    segment.json     what it was made of and how; written last
    vectors.faiss    the FAISS index, opened memory-mapped
    vectors.npy      (rows, dim) the vectors, where the index holds compressed ones only
    sample.npy       vectors of passages drawn at random
    passages/        ids and texts as Arrow: see ``data.corpus``
    words/           BM25: see ``lexical.stored``; if wanted

How a segment is made is in ``building``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.artifacts import read_json
from isoglot.data.corpus import StoredPassages, open_passages
from isoglot.errors import ArtifactError
from isoglot.lexical.stored import Words, open_words
from isoglot.retrieval.kinds import (
    Kind,
    comparing_all_is_cheaper,
    import_faiss,
    search_all,
    search_parameters,
)

__all__ = [
    "NO_ROW",
    "PASSAGES",
    "RECORD",
    "SAMPLE_FILE",
    "VECTORS",
    "VECTORS_INDEX",
    "WORDS",
    "Segment",
]

RECORD = "segment.json"
VECTORS_INDEX = "vectors.faiss"
VECTORS = "vectors.npy"
SAMPLE_FILE = "sample.npy"
PASSAGES = "passages"
WORDS = "words"

NO_ROW = -1
_REFINED = 16
"""Compressed vectors give so many candidates per passage wanted; their own vectors choose."""


@dataclass(frozen=True)
class Segment:
    """An open segment. Rows are its passages in their order."""

    folder: Path
    lang: str
    kind: Kind
    stored: StoredPassages
    """Ids and texts."""
    index: Any
    """``faiss.Index``, memory-mapped."""
    vectors: NDArray[Any] | None
    """(rows, dim), memory-mapped; None where the index can give them back."""
    sample: NDArray[np.float32]
    """Vectors of passages drawn at random: (sample, dim)."""
    breadth: int
    """How wide the index is searched: see ``kinds.search_parameters``."""
    words: Words | None
    deleted: NDArray[np.bool_] | None = None
    """(rows,): which no longer count; None if all do."""

    @classmethod
    def open(cls, folder: Path, deleted: NDArray[np.bool_] | None = None) -> Segment:
        """Open a segment memory-mapped.

        Raises:
            ArtifactError: If a file is missing or damaged.
        """
        faiss = import_faiss()
        record = read_json(folder / RECORD)
        try:
            index = faiss.read_index(str(folder / VECTORS_INDEX), faiss.IO_FLAG_MMAP_IFC)
            path = folder / VECTORS
            vectors = None
            if path.is_file():
                vectors = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
            sample = np.load(folder / SAMPLE_FILE, allow_pickle=False)
            words = open_words(folder / WORDS) if (folder / WORDS).is_dir() else None
            stored = open_passages(folder / PASSAGES)
            lang, kind, rows = record["lang"], record["kind"], record["rows"]
            breadth = record["breadth"]
        except (RuntimeError, OSError, ValueError, KeyError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise ArtifactError(f"{folder}: a damaged segment ({reason}); index again") from error
        if not len(stored) == index.ntotal == rows:
            raise ArtifactError(
                f"{folder}: {len(stored)} passages, {index.ntotal} vectors, and {rows} of each "
                "when it was made; index again"
            )
        return cls(folder, lang, kind, stored, index, vectors, sample, breadth, words, deleted)

    @property
    def rows(self) -> int:
        """Passages, deleted ones included."""
        return len(self.stored)

    @cached_property
    def live_rows(self) -> int:
        """Passages that count."""
        return self.rows if self.deleted is None else int(self.rows - self.deleted.sum())

    def search(
        self, queries: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return rows and scores of the best passages that count, best first.

        Args:
            queries: (queries, dim).
            k: Passages per query.

        Returns:
            Rows and scores, both (queries, the lesser of k and `live_rows`).
        """
        k = min(k, self.live_rows)
        wide = k if self.vectors is None else min(k * _REFINED, self.rows)
        scores, rows = self._search_index(queries, k, wide)
        return (rows, scores) if self.vectors is None else self._refine(queries, rows, k)

    def score(self, query: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the scores of named rows for one query: (rows,)."""
        scores: NDArray[np.float32] = self.vectors_of(rows) @ query
        return scores

    def vectors_of(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of some rows: (rows, dim)."""
        if self.vectors is None:
            found: NDArray[np.float32] = self.index.reconstruct_batch(rows)
            return found
        return np.asarray(self.vectors[rows], dtype=np.float32)

    def _search_index(
        self, queries: NDArray[np.float32], k: int, wide: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return scores and rows: (queries, wide), of which the first ``k`` are there."""
        kind, index, selector = self.kind, self.index, self._selector
        if comparing_all_is_cheaper(kind, self.breadth, wide, self.rows, self.live_rows):
            return search_all(kind, index, queries, wide, selector)
        live = self.live_rows / self.rows
        params = search_parameters(kind, self.breadth, wide, live, selector)
        scores, rows = index.search(queries, wide, params=params)
        short = np.flatnonzero(rows[:, k - 1] == NO_ROW)
        if short.size:
            scores[short], rows[short] = search_all(kind, index, queries[short], wide, selector)
        return scores, rows

    @cached_property
    def _selector(self) -> Any:  # noqa: ANN401 - faiss has no types
        if self.deleted is None:
            return None
        live = np.packbits(~self.deleted, bitorder="little")
        return import_faiss().IDSelectorBitmap(live)

    def _refine(
        self, queries: NDArray[np.float32], rows: NDArray[np.int64], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Score candidates with their own vectors and keep the best."""
        # One query at a time: all vectors of all candidates would not fit in memory.
        pairs = zip(queries, np.maximum(rows, 0), strict=True)
        scores = np.stack([self.score(query, own) for query, own in pairs])
        scores[rows == NO_ROW] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)
