"""Where scores come from: any source that scores queries against a block of passages.

The pass over the scores (``counts``) asks for one block of passages after the other and for all
queries of each, so that no source has to hold more than a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from isoglot.errors import DataError
from isoglot.evaluation.vectors import (
    ROWS_AT_A_TIME,
    check_embeddings,
    check_similarity,
    first_copies,
    prepare_rows,
    prepare_vectors,
    repeated_rows,
)

__all__ = ["ScoreBlock", "Scorer", "VectorScorer"]


class ScoreBlock(Protocol):
    """Some passages, ready to be scored. Equal passages of one block get equal scores."""

    def scores(self, queries: slice, out: NDArray[np.float32]) -> None:
        """Write the scores of consecutive queries into ``out``: (queries, passages of the block).

        A score depends on nothing but the query, the passage and the block.
        """
        ...


class Scorer(Protocol):
    """A system that gives every (query, passage) pair of a collection a score."""

    @property
    def size(self) -> int:
        """Number of passages."""
        ...

    def block(self, rows: NDArray[np.int64]) -> ScoreBlock:
        """Prepare the passages of some rows of the collection."""
        ...

    def twins(self) -> NDArray[np.intp]:
        """Return the rows that must share a block for equal passages to get equal scores."""
        ...


class VectorScorer:
    """Scores embeddings by cosine or dot product, in float32.

    The passages may be any number of arrays, memory-mapped ones too; they are read block by block.
    """

    def __init__(
        self,
        queries: NDArray[Any],
        passages: NDArray[Any] | Sequence[NDArray[Any]],
        *,
        query_names: Sequence[str],
        doc_ids: Sequence[Any],
        similarity: str = "cosine",
    ) -> None:
        """Check the embeddings and prepare those of the queries.

        Args:
            queries: (queries, dim), any floating type.
            passages: (passages, dim), or arrays that make it together.
            query_names: One per query, for error messages.
            doc_ids: One per passage, for error messages; strings, or what ``str`` makes of them.
            similarity: ``"cosine"`` or ``"dot"``.

        Raises:
            ConfigError: If the similarity is unknown.
            DataError: If shapes or types do not fit, or a query's values cannot be scored. Those of
                passages are checked with their block.
        """
        self._similarity = check_similarity(similarity)
        self._segments = [passages] if isinstance(passages, np.ndarray) else list(passages)
        for segment in self._segments:
            check_embeddings(segment, "passage")
        self._starts = np.cumsum([0, *map(len, self._segments)])
        self._doc_ids = doc_ids
        if self.size != len(doc_ids):
            raise DataError(
                f"passage embeddings: {self.size} rows for {len(doc_ids)} texts; "
                "encode the collection again"
            )
        if len(types := {str(segment.dtype) for segment in self._segments}) > 1:
            raise DataError(
                f"passage embeddings: arrays of types {', '.join(sorted(types))}; "
                "bring them all into one"
            )
        self._queries = prepare_vectors(queries, query_names, what="query", similarity=similarity)
        for segment in self._segments:
            if segment.shape[1] != self._queries.shape[1]:
                raise DataError(
                    f"query embeddings have {self._queries.shape[1]} dimensions, passage "
                    f"embeddings have {segment.shape[1]}; encode both with the same model"
                )

    @property
    def size(self) -> int:
        """Number of passages."""
        return int(self._starts[-1])

    def block(self, rows: NDArray[np.int64]) -> ScoreBlock:
        """Read and prepare the passages of some rows.

        Raises:
            DataError: If a passage's values cannot be scored.
        """
        vectors = np.empty((len(rows), self._queries.shape[1]), dtype=np.float32)
        for start in range(0, len(rows), ROWS_AT_A_TIME):
            part = rows[start : start + ROWS_AT_A_TIME]
            vectors[start : start + len(part)] = prepare_rows(
                self._take(part), partial(self._name, part), "passage", self._similarity
            )
        return _VectorBlock(self._queries, vectors)

    def _name(self, rows: NDArray[np.int64], index: int) -> str:
        return str(self._doc_ids[int(rows[index])])

    def twins(self) -> NDArray[np.intp]:
        """Return the rows whose vector occurs more than once."""
        return repeated_rows(self._segments)

    def _take(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        if len(self._segments) == 1:
            return np.asarray(self._segments[0].take(rows, axis=0))
        numbers = np.searchsorted(self._starts, rows, side="right") - 1
        taken = np.empty((len(rows), self._queries.shape[1]), dtype=self._segments[0].dtype)
        for number in np.unique(numbers):
            here = numbers == number
            taken[here] = self._segments[number][rows[here] - self._starts[number]]
        return taken


class _VectorBlock:
    """The vectors of some passages, columns of equal vectors known."""

    def __init__(self, queries: NDArray[np.float32], passages: NDArray[np.float32]) -> None:
        self._queries = queries
        self._passages = passages
        originals = first_copies(passages)
        self._copies = np.flatnonzero(originals != np.arange(len(originals)))
        self._originals = originals[self._copies]

    def scores(self, queries: slice, out: NDArray[np.float32]) -> None:
        """Write the dot products; copies of a vector get the score of the first.

        A matrix product may round the same dot product differently in two columns.
        """
        np.matmul(self._queries[queries], self._passages.T, out=out)
        if self._copies.size:
            out[:, self._copies] = out[:, self._originals]
