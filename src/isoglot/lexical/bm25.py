"""BM25 over one index per passage language.

Every index has its own vocabulary, document frequencies and mean length, and reads every query by
the rules of its own language, as a search engine does. A passage's score for a query is

    sum over the query's terms, repeated ones included, of
    ln(1 + (N - df + 0.5) / (df + 0.5)) * tf / (tf + k1 * (1 - b + b * length / mean length))

which is Lucene's variant with exact lengths (Kamphuis et al., "Which BM25 Do You Mean?", ECIR
2020). bm25s works out what a term adds to a passage; here sparse products sum it up by query.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from isoglot.data.collection import Collection
from isoglot.lexical.tokenize import split_words, to_terms
from isoglot.lexical.weights import DEFAULT_B, DEFAULT_K1, Vocabulary, check_parameters, weigh
from isoglot.progress import progress_bar

__all__ = ["DEFAULT_B", "DEFAULT_K1", "Bm25Block", "Bm25Scorer"]

_TILE_SCORES = 1 << 20
"""Scores computed at a time: at most 20 MiB of intermediate results."""


@dataclass(frozen=True)
class _LanguageIndex:
    """The passages of one language, and all queries as this language's rules read them."""

    weights: csr_array
    """(passages of the language, terms) float32: what a term adds to the score of a passage."""
    queries: csr_array
    """(queries, terms) float64: how often a query has a term."""


class Bm25Scorer:
    """Scores every query of a collection against every passage.

    A score depends on the query, the passage and the passages of its language, never on what is
    scored with it: it is summed in float64 in one order and rounded once. Scores are 0 or more, and
    0 exactly where no term is shared.
    """

    def __init__(self, lang_numbers: NDArray[np.int64], indexes: Sequence[_LanguageIndex]) -> None:
        self._lang_numbers = lang_numbers
        self._indexes = indexes
        self._places = np.empty_like(lang_numbers)  # row of a passage in its language's index
        for number in range(len(indexes)):
            here = np.flatnonzero(lang_numbers == number)
            self._places[here] = np.arange(len(here))

    @classmethod
    def from_collection(
        cls,
        collection: Collection,
        *,
        k1: float = DEFAULT_K1,
        b: float = DEFAULT_B,
        show_progress: bool = False,
    ) -> Bm25Scorer:
        """Index the passages by language and read the queries.

        Args:
            collection: Its queries are the rows of scores, its passages the columns.
            k1: How slowly a repeated term saturates; 0 counts a term once.
            b: How much long passages are discounted, from 0 (not at all) to 1.
            show_progress: Show a progress bar with rate and time left.

        Raises:
            ConfigError: If k1 or b is out of range.
        """
        check_parameters(k1, b)
        texts: dict[str, list[str]] = {lang: [] for lang in collection.passage_langs}
        for passage in collection.passages:
            texts[passage.lang].append(passage.text)
        words, counts = _count_words([query.text for query in collection.queries])
        indexes = []
        total = len(collection.passages)
        with progress_bar("indexing passages", total, "passage", show=show_progress) as bar:
            for lang, lang_texts in texts.items():
                vocabulary = Vocabulary(lang)
                weights = weigh(vocabulary.add_all(lang_texts, bar), vocabulary.terms, k1, b)
                term_counts = _count_terms(vocabulary, words, counts)
                indexes.append(_LanguageIndex(weights.tocsr(), term_counts))
        numbers = {lang: number for number, lang in enumerate(texts)}
        return cls(np.array([numbers[p.lang] for p in collection.passages], np.int64), indexes)

    @property
    def size(self) -> int:
        """Number of passages."""
        return len(self._lang_numbers)

    def block(self, rows: NDArray[np.int64]) -> Bm25Block:
        """Prepare the passages of some rows of the collection, in any order."""
        parts = []
        numbers = self._lang_numbers[rows]
        for number in np.unique(numbers):
            columns = np.flatnonzero(numbers == number)
            index = self._indexes[number]
            weights = index.weights[self._places[rows[columns]]].astype(np.float64)
            parts.append(_BlockPart(_as_slice(columns), index.queries, weights.T.tocsr()))
        return Bm25Block(parts)

    def twins(self) -> NDArray[np.intp]:
        """Return the rows that must share a block for equal passages to tie: none."""
        return np.empty(0, dtype=np.intp)


@dataclass(frozen=True)
class _BlockPart:
    """The passages of a block that are in one language."""

    columns: slice | NDArray[np.intp]
    """Their places in the block."""
    queries: csr_array
    """(queries, terms)."""
    weights: csr_array
    """(terms, passages of the part) float64."""


class Bm25Block:
    """Some passages, ready to be scored."""

    def __init__(self, parts: Sequence[_BlockPart]) -> None:
        self._parts = parts

    def scores(self, queries: slice, out: NDArray[np.float32]) -> None:
        """Write the scores of consecutive queries into ``out``: (queries, block's passages)."""
        first = queries.start or 0
        for part in self._parts:
            step = max(1, _TILE_SCORES // part.weights.shape[1])
            for start in range(0, len(out), step):
                stop = min(start + step, len(out))
                tile = part.queries[first + start : first + stop] @ part.weights
                out[start:stop, part.columns] = tile.toarray()


def _count_words(texts: Sequence[str]) -> tuple[list[str], csr_array]:
    """Return the distinct words of the queries, and their counts: (queries, words) float64."""
    numbers: dict[str, int] = {}
    columns = array("q")
    ends = [0]
    for text in texts:
        columns.extend(numbers.setdefault(word, len(numbers)) for word in split_words(text))
        ends.append(len(columns))
    ones = np.ones(len(columns))
    indices = np.frombuffer(columns, np.int64) if columns else np.empty(0, np.int64)
    counts = csr_array((ones, indices, np.array(ends)), shape=(len(texts), len(numbers)))
    counts.sum_duplicates()
    return list(numbers), counts


def _count_terms(vocabulary: Vocabulary, words: Sequence[str], counts: csr_array) -> csr_array:
    """Turn counts of words, (queries, words), into counts of terms: (queries, terms).

    Words whose term no passage has are left out.
    """
    terms = to_terms(words, vocabulary.lang)
    numbers = np.array([vocabulary.terms.get(term, -1) for term in terms], dtype=np.int64)
    known = np.flatnonzero(numbers >= 0)
    term_of_word = csr_array(
        (np.ones(len(known)), (known, numbers[known])), shape=(len(words), len(vocabulary.terms))
    )
    term_counts = counts @ term_of_word
    term_counts.sort_indices()  # the order in which scores are summed
    return term_counts


def _as_slice(columns: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Return ascending columns as a slice if there is no gap; writing to it is faster."""
    first, last = int(columns[0]), int(columns[-1])
    return slice(first, last + 1) if last - first == len(columns) - 1 else columns
