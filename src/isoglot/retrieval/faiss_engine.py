"""The index on disk as a search sees it: one generation, opened memory-mapped, one process.

Keys are rows counted through the segments of a language. An engine never changes; after a change
of the index another one is opened.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isoglot.encoding.shards import Origin
from isoglot.errors import ArtifactError, ConfigError
from isoglot.records import Passage
from isoglot.retrieval.changes import open_segment
from isoglot.retrieval.engine import SAMPLE, Candidates
from isoglot.retrieval.manifest import Manifest, read_manifest
from isoglot.retrieval.segments import NO_ROW, Segment

__all__ = ["FaissEngine"]

_ATTEMPTS = 5
"""Openings of an index that is changed at the same time."""


@dataclass(frozen=True)
class _Language:
    """The segments of one language and where their keys start."""

    segments: tuple[Segment, ...]
    starts: NDArray[np.int64]
    """(segments + 1,)."""
    sample: NDArray[np.float32]


class FaissEngine:
    """An index on disk, open for search; many threads may use it at once."""

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self.root = root
        self.manifest = manifest
        own = manifest.by_language()
        self._languages = {
            lang: _open_language([open_segment(root, entry) for entry in own[lang]])
            for lang in manifest.sizes
        }

    @classmethod
    def open(cls, root: Path) -> FaissEngine:
        """Open the latest generation.

        Raises:
            ArtifactError: If there is no index, or it is damaged.
        """
        for attempt in itertools.count(1):
            manifest = read_manifest(root)
            try:
                return cls(root, manifest)
            except ArtifactError:
                # A change may have taken the files away since the manifest was read.
                if read_manifest(root) == manifest or attempt == _ATTEMPTS:
                    raise
        raise AssertionError("the loop ends by return or raise")

    @property
    def origin(self) -> Origin:
        """What made the vectors."""
        return self.manifest.origin

    @property
    def sizes(self) -> Mapping[str, int]:
        """Passages by language, languages sorted."""
        return self.manifest.sizes

    @property
    def has_words(self) -> bool:
        """Whether BM25 can be asked."""
        return self.manifest.words

    def search(self, lang: str, queries: NDArray[np.float32], k: int) -> Candidates:
        """Return the best passages of a language; see `Engine`."""
        return self._merge(lang, [own.search(queries, k) for own in self._segments(lang)], k)

    def search_words(self, lang: str, queries: Sequence[str], k: int) -> Candidates:
        """Return the passages of a language with the highest BM25 scores; see `Engine`.

        Each segment has its own statistics of words.

        Raises:
            ConfigError: If the index has no words.
        """
        found = []
        for segment in self._segments(lang):
            if segment.words is None:
                raise ConfigError(
                    f"{self.root}: has no words to search; index again without --no-words"
                )
            found.append(segment.words.search(queries, k, segment.deleted))
        return self._merge(lang, found, k)

    def score(
        self, lang: str, queries: NDArray[np.float32], keys: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the scores of named passages: (queries, keys per query)."""
        language = self._languages[lang]
        numbers = np.searchsorted(language.starts, keys, side="right") - 1
        rows = keys - language.starts[numbers]
        scores = np.empty(keys.shape, dtype=np.float32)
        for query, own_numbers, own_rows, own in zip(queries, numbers, rows, scores, strict=True):
            for number in np.unique(own_numbers).tolist():
                here = own_numbers == number
                own[here] = language.segments[number].score(query, own_rows[here])
        return scores

    def sample(self, lang: str) -> NDArray[np.float32]:
        """Return vectors of passages drawn at random: (up to `SAMPLE`, dim)."""
        return self._languages[lang].sample

    def passages(self, lang: str, keys: NDArray[np.int64]) -> list[Passage]:
        """Return ids and texts of some passages."""
        language = self._languages[lang]
        numbers = np.searchsorted(language.starts, keys, side="right") - 1
        return [
            language.segments[number].stored[key - int(language.starts[number])]
            for number, key in zip(numbers.tolist(), keys.tolist(), strict=True)
        ]

    def _segments(self, lang: str) -> tuple[Segment, ...]:
        return self._languages[lang].segments

    def _merge(
        self,
        lang: str,
        found: Sequence[tuple[NDArray[np.int64], NDArray[np.float32]]],
        k: int,
    ) -> Candidates:
        """Turn the rows of segments into keys and keep the best."""
        starts = self._languages[lang].starts
        keys = np.concatenate(
            [
                np.where(rows == NO_ROW, 0, rows + start)
                for (rows, _), start in zip(found, starts, strict=False)
            ],
            axis=1,
        )
        scores = np.concatenate([scores for _, scores in found], axis=1)
        if len(found) > 1:
            order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
            keys = np.take_along_axis(keys, order, axis=1)
            scores = np.take_along_axis(scores, order, axis=1)
        return Candidates(keys, scores)


def _open_language(segments: Sequence[Segment]) -> _Language:
    live = [segment for segment in segments if segment.deleted is None or not segment.deleted.all()]
    rows = [segment.rows for segment in live]
    shares = [round(SAMPLE * own / sum(rows)) for own in rows]
    sample = np.concatenate(
        [segment.sample[: max(share, 1)] for segment, share in zip(live, shares, strict=True)]
    )[:SAMPLE]
    return _Language(tuple(live), np.cumsum([0, *rows]), sample)
