"""Where the passages and vectors of a new segment come from: embeddings on disk, or other segments.

Vectors come ready for scoring: float32, of length 1 where the similarity is cosine.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from isoglot.data.corpus import StoredPassages, open_passages
from isoglot.encoding.manifest import CORPUS
from isoglot.encoding.shards import EmbeddingShards, Origin, Shard, open_shards
from isoglot.errors import ArtifactError, DataError
from isoglot.evaluation.vectors import prepare_rows
from isoglot.records import Passage
from isoglot.retrieval.segments import Segment

__all__ = ["LanguageSource", "MergedSource", "SegmentSource", "open_sources"]


class SegmentSource(Protocol):
    """Passages of one language and their vectors, by row."""

    lang: str

    @property
    def rows(self) -> int:
        """How many passages there are."""
        ...

    def key(self, start: int, stop: int) -> str:
        """Return what some rows depend on; equal keys make equal segments."""
        ...

    def passages(self, start: int, stop: int) -> Iterator[Passage]:
        """Yield the passages of some rows."""
        ...

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of some rows, which ascend: (rows, dim)."""
        ...


class LanguageSource:
    """The passages of one language in a folder of embeddings.

    Args:
        lang: The language.
        shards: Its shards.
        arrays: Their vectors, memory-mapped.
        stored: Its passages, in the order of the vectors.
        similarity: ``cosine`` or ``dot``.
    """

    def __init__(
        self,
        lang: str,
        shards: Sequence[Shard],
        arrays: Sequence[NDArray[Any]],
        stored: StoredPassages,
        similarity: str,
    ) -> None:
        self.lang = lang
        self._shards = shards
        self._arrays = arrays
        self._stored = stored
        self._similarity = similarity
        self._starts = [0, *itertools.accumulate(map(len, arrays))]

    @property
    def rows(self) -> int:
        """How many passages there are."""
        return self._starts[-1]

    def key(self, start: int, stop: int) -> str:
        """Return the hashes of the texts and vectors of the shards, and which rows of them."""
        digest = hashlib.sha256(f"{self._similarity} {start} {stop}".encode())
        for shard in self._shards:
            digest.update(f"{shard.inputs} {shard.sha256}".encode())
        return digest.hexdigest()

    def passages(self, start: int, stop: int) -> Iterator[Passage]:
        """Yield the passages of some rows."""
        yield from self._stored.rows(start, stop)

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of some rows, which ascend: (rows, dim).

        Raises:
            DataError: If one holds values that cannot be scored.
        """
        parts = zip(self._arrays, _split(rows, self._starts), strict=True)
        raw = np.concatenate([array[here] for array, here in parts if len(here)])
        return prepare_rows(
            raw, lambda row: self._stored[int(rows[row])].doc_id, "passage", self._similarity
        )


class MergedSource:
    """The passages of some segments of one language that still count, to become one segment.

    Args:
        segments: Open, each with its deletions.
        names: What they are called, deletions included.
    """

    def __init__(self, segments: Sequence[Segment], names: Sequence[str]) -> None:
        self.lang = segments[0].lang
        self._segments = segments
        self._names = names
        self._live = [_live_rows(segment) for segment in segments]
        self._starts = [0, *itertools.accumulate(map(len, self._live))]

    @property
    def rows(self) -> int:
        """How many passages there are."""
        return self._starts[-1]

    def key(self, start: int, stop: int) -> str:
        """Return a hash of the segments and which rows of them."""
        return hashlib.sha256(f"{' '.join(self._names)} {start} {stop}".encode()).hexdigest()

    def passages(self, start: int, stop: int) -> Iterator[Passage]:
        """Yield the passages of some rows."""
        for segment, live, offset in zip(self._segments, self._live, self._starts, strict=False):
            own = live[max(start - offset, 0) : max(stop - offset, 0)]
            if own.size:
                first, last = int(own[0]), int(own[-1])
                kept = np.zeros(last + 1 - first, dtype=np.bool_)
                kept[own - first] = True
                yield from itertools.compress(segment.stored.rows(first, last + 1), kept.tolist())

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of some rows, which ascend: (rows, dim)."""
        return np.concatenate(
            [
                segment.vectors_of(live[here])
                for segment, live, here in zip(
                    self._segments, self._live, _split(rows, self._starts), strict=True
                )
                if len(here)
            ]
        )


def open_sources(folder: Path) -> tuple[Origin, list[LanguageSource]]:
    """Open what ``isoglot encode`` wrote: one source per language, languages sorted.

    Raises:
        ArtifactError: If embeddings or passages are missing, unfinished or damaged.
        DataError: If they do not belong together.
    """
    if not (folder / CORPUS).is_dir():
        raise ArtifactError(
            f"{folder}: no passages to show, there is no {CORPUS}/; give the --output of isoglot "
            "encode"
        )
    stored = open_passages(folder / CORPUS)
    shards = open_shards(folder, query_langs=())
    if missing := sorted(set(stored.langs) - set(shards.shards["passages"])):
        raise ArtifactError(
            f"{folder}: the passages in {', '.join(missing)} are not encoded yet; run the same "
            "isoglot encode again, it continues"
        )
    return shards.origin, [_language_source(shards, stored, lang) for lang in stored.langs]


def _language_source(shards: EmbeddingShards, stored: StoredPassages, lang: str) -> LanguageSource:
    found = shards.shards["passages"][lang]
    one = EmbeddingShards(shards.folder, shards.origin, {"passages": {lang: found}})
    own = stored.restrict([lang])
    _refuse_other_ids(one, own, lang)
    return LanguageSource(lang, found, list(one.vectors("passages")), own, shards.origin.similarity)


def _refuse_other_ids(shards: EmbeddingShards, stored: StoredPassages, lang: str) -> None:
    """Compare the ids of the vectors with those of the passages, in their order."""
    start = 0
    for _, ids in shards.ids("passages"):
        there = stored.rows(start, start + len(ids)).doc_ids.to_pylist()
        if ids != there:
            place = next(
                (
                    row
                    for row, pair in enumerate(zip(ids, there, strict=False))
                    if pair[0] != pair[1]
                ),
                min(len(ids), len(there)),
            )
            raise DataError(
                f"{shards.folder}: row {start + place} in {lang!r} is another passage in "
                f"{CORPUS}/ than among the vectors; encode again into a new folder"
            )
        start += len(ids)


def _live_rows(segment: Segment) -> NDArray[np.int64]:
    if segment.deleted is None:
        return np.arange(segment.rows)
    return np.flatnonzero(~segment.deleted)


def _split(rows: NDArray[np.int64], starts: Sequence[int]) -> list[NDArray[np.int64]]:
    """Cut ascending rows at the starts of parts and count them from there."""
    cuts = np.searchsorted(rows, starts[1:-1])
    parts = np.split(rows, cuts)
    return [part - start for part, start in zip(parts, starts[:-1], strict=True)]
