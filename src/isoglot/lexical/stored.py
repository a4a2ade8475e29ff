"""BM25 of one language's passages on disk, memory-mapped: any number of processes share its pages.

    words.json     language, parameters, sizes; written last
    terms.npy      (bytes,) uint8: the terms in UTF-8, sorted, one after the other
    ends.npy       (terms,) int64: where a term ends
    columns.npy    (terms,) int32: the column of a term, that is, its number by first passage
    starts.npy     (terms + 1,) int64: where the passages of a column begin
    rows.npy       (weights,) int32: the passages that have the term
    weights.npy    (weights,) float32: what the term adds to their scores

A search reads the few columns of its query's terms, and nothing is loaded when an index is opened.
Scores are those of `Bm25Scorer`, to the last bit. A file is replaced whole or not at all.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array

from isoglot.artifacts import atomic_write, read_json, write_json
from isoglot.errors import ArtifactError
from isoglot.lexical.tokenize import tokenize
from isoglot.lexical.weights import DEFAULT_B, DEFAULT_K1, Vocabulary, check_parameters, weigh
from isoglot.progress import progress_bar

__all__ = ["Words", "build_words", "open_words"]

_RECORD = "words.json"
_FORMAT = "isoglot words 1"
_DTYPES = {
    "terms": np.uint8,
    "ends": np.int64,
    "columns": np.int32,
    "starts": np.int64,
    "rows": np.int32,
    "weights": np.float32,
}


def build_words(
    folder: Path,
    lang: str,
    texts: Iterable[str],
    *,
    k1: float = DEFAULT_K1,
    b: float = DEFAULT_B,
    show_progress: bool = False,
) -> None:
    """Write the BM25 index of the passages of a language.

    Texts are read once and are not kept. bm25s works on all of them at once: 100,000 passages of
    100 words (82 distinct ones) took 380 MB at the highest, and 66 MB on disk. More passages than
    memory allows go into several indexes.

    Args:
        folder: For this index alone; one that is there is replaced.
        lang: Language of the passages, ISO 639-1 or else 639-3.
        texts: Of the passages, in the order of their rows.
        k1: How slowly a repeated term saturates; 0 counts a term once.
        b: How much long passages are discounted, from 0 (not at all) to 1.
        show_progress: Show a progress bar with rate and time left.

    Raises:
        ConfigError: If k1 or b is out of range.
        ArtifactError: If the folder cannot be written.
    """
    check_parameters(k1, b)
    vocabulary = Vocabulary(lang)
    total = len(texts) if isinstance(texts, Sequence) else None
    with progress_bar("indexing words", total, "passage", show=show_progress) as bar:
        tokens = vocabulary.add_all(texts, bar)
    passages = len(tokens)
    weights = weigh(tokens, vocabulary.terms, k1, b)
    del tokens
    (folder / _RECORD).unlink(missing_ok=True)
    for name, array in _arrays(vocabulary.terms, weights):
        with atomic_write(folder / f"{name}.npy", "wb") as file:
            values = np.ascontiguousarray(array, dtype=_DTYPES[name])
            np.lib.format.write_array(file, values, allow_pickle=False)
    record = {"format": _FORMAT, "lang": lang, "k1": k1, "b": b, "passages": passages}
    write_json(folder / _RECORD, {**record, "bytes": {n: _size(folder, n) for n in _DTYPES}})


def open_words(folder: Path) -> Words:
    """Open the index of a folder, memory-mapped.

    Raises:
        ArtifactError: If it holds none that is whole.
    """
    path = folder / _RECORD
    record = read_json(path)
    try:
        if record["format"] != _FORMAT:
            raise ArtifactError(
                f"{path}: format {record['format']!r}; this version reads {_FORMAT!r}"
            )
        arrays = {name: _map(folder, name, record["bytes"][name]) for name in _DTYPES}
        return Words(record["lang"], record["passages"], arrays)
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"{path}: is no record of a BM25 index ({error})") from error


class Words:
    """The BM25 index of the passages of one language; searched by any number of threads."""

    def __init__(self, lang: str, passages: int, arrays: dict[str, NDArray[Any]]) -> None:
        self.lang = lang
        self.passages = passages
        """How many."""
        self._terms = _Terms(arrays["terms"], arrays["ends"])
        self._columns = arrays["columns"]
        self._starts = arrays["starts"]
        self._rows = arrays["rows"]
        self._weights = arrays["weights"]

    def search(
        self, queries: Sequence[str], k: int, deleted: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the ``k`` passages with the highest scores above 0, best first, then lower rows.

        Args:
            queries: Read by the rules of the passages' language, whatever language they are in.
            k: Passages per query.
            deleted: (passages,): those that are not to be found. They still count for how rare a
                term is.

        Returns:
            Rows and scores, both (queries, k); -1 and minus infinity behind the last that is found.
        """
        rows = np.full((len(queries), k), -1, dtype=np.int64)
        scores = np.full((len(queries), k), -np.inf, dtype=np.float32)
        for number, terms in enumerate(tokenize(queries, self.lang)):
            all_scores = self._score(terms)
            if deleted is not None:
                all_scores[deleted] = 0
            best = _best(all_scores, k)
            rows[number, : len(best)] = best
            scores[number, : len(best)] = all_scores[best]
        return rows, scores

    def _score(self, terms: Sequence[str]) -> NDArray[np.float32]:
        """Return the score of every passage: summed in float64 by column, rounded once."""
        columns = {
            int(self._columns[place]): count
            for term, count in Counter(terms).items()
            if (place := self._terms.find(term)) is not None
        }
        scores = np.zeros(self.passages)
        for column, count in sorted(columns.items()):
            here = slice(self._starts[column], self._starts[column + 1])
            weights = self._weights[here].astype(np.float64)
            scores[self._rows[here]] += count * weights  # a passage is in a column once
        return scores.astype(np.float32)


class _Terms(Sequence[bytes]):
    """Sorted terms, each read when it is asked for."""

    def __init__(self, content: NDArray[np.uint8], ends: NDArray[np.int64]) -> None:
        self._content = content
        self._ends = ends

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, place: Any) -> Any:  # noqa: ANN401 - only ever int and bytes
        start = self._ends[place - 1] if place else 0
        return self._content[start : self._ends[place]].tobytes()

    def find(self, term: str) -> int | None:
        """Return the place of a term, or None."""
        wanted = term.encode()
        place = bisect.bisect_left(self, wanted)
        return place if place < len(self) and self[place] == wanted else None


def _arrays(terms: dict[str, int], weights: csc_array) -> Iterable[tuple[str, NDArray[Any]]]:
    """Yield the arrays of an index by name."""
    encoded = sorted((term.encode(), column) for term, column in terms.items())
    yield "terms", np.frombuffer(b"".join(term for term, _ in encoded), np.uint8)
    yield "ends", np.cumsum([len(term) for term, _ in encoded], dtype=np.int64)
    yield "columns", np.array([column for _, column in encoded], np.int32)
    yield "starts", weights.indptr
    yield "rows", weights.indices
    yield "weights", weights.data


def _best(scores: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Return the rows of the ``k`` highest scores above 0, best first, ties by lower row."""
    found = np.flatnonzero(scores)
    if len(found) > k:
        kth = np.partition(scores[found], -k)[-k]
        found = found[scores[found] >= kth]
    return found[np.argsort(-scores[found], kind="stable")][:k]


def _size(folder: Path, name: str) -> int:
    return (folder / f"{name}.npy").stat().st_size


def _map(folder: Path, name: str, size: int) -> NDArray[Any]:
    path = folder / f"{name}.npy"
    try:
        if path.stat().st_size != size:
            raise ArtifactError(
                f"{path}: has {path.stat().st_size} bytes, {_RECORD} says {size}; index again"
            )
        # A plain view, for single elements of a memmap are slow to read.
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: cannot be read as .npy ({error}); index again") from error
    if array.dtype != _DTYPES[name] or array.ndim != 1:
        raise ArtifactError(f"{path}: is no array of a BM25 index; index again")
    return array
