"""Embeddings made ready for scoring: checked, normalized for cosine, equal rows found.

No scores here. Everything works row by row with the same operations in the same order, so equal
rows stay equal to the last bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.errors import ConfigError, DataError

__all__ = ["SIMILARITIES", "first_copies", "prepare_vectors"]

SIMILARITIES = ("cosine", "dot")

_BLOCK_ROWS = 4096
_MAX_LENGTH = 1e18
"""Two vectors of this length have a dot product that float32 still holds."""


def prepare_vectors(
    embeddings: NDArray[Any], ids: Sequence[str], *, what: str, similarity: str
) -> NDArray[np.float32]:
    """Return a float32 copy whose dot products are the similarity.

    Args:
        embeddings: (texts, dim), any floating type.
        ids: One per row, for error messages.
        what: ``"query"`` or ``"passage"``, for error messages.
        similarity: ``"cosine"`` or ``"dot"``. A zero vector has cosine 0 with everything.

    Raises:
        ConfigError: If the similarity is unknown.
        DataError: If the array has another shape or type, or holds values that cannot be scored.
    """
    if similarity not in SIMILARITIES:
        raise ConfigError(f"unknown similarity {similarity!r}; choose {' or '.join(SIMILARITIES)}")
    if embeddings.ndim != 2 or not np.issubdtype(embeddings.dtype, np.floating):
        raise DataError(
            f"{what} embeddings: expected a floating-point array of shape ({what} count, dim), "
            f"got {embeddings.dtype} of shape {embeddings.shape}"
        )
    if len(embeddings) != len(ids):
        raise DataError(
            f"{what} embeddings: {len(embeddings)} rows for {len(ids)} texts; "
            "encode the collection again"
        )
    vectors = np.empty(embeddings.shape, dtype=np.float32)
    for start in range(0, len(embeddings), _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        block = embeddings[rows].astype(np.float64)
        with np.errstate(over="ignore"):
            lengths = np.sqrt((block * block).sum(axis=1, keepdims=True))
        _refuse_unusable(lengths[:, 0], ids[rows], what)
        if similarity == "cosine":
            block /= np.where(lengths > 0, lengths, 1)
        vectors[rows] = block
    vectors += 0.0  # turns -0.0 into 0.0: equal rows shall have equal bytes
    return vectors


def _refuse_unusable(lengths: NDArray[np.float64], ids: Sequence[str], what: str) -> None:
    # Written so that NaN counts as bad: a NaN score compares false and would rank first.
    bad = np.flatnonzero(~(lengths <= _MAX_LENGTH))
    if bad.size:
        raise DataError(
            f"{what} {ids[bad[0]]!r}: its embedding holds NaN, infinity or huge values; "
            "check the model's precision (try float32) and encode again"
        )


def first_copies(vectors: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return, for every row, the index of the first row with the same bytes: (rows,)."""
    first: dict[bytes, int] = {}
    return np.fromiter(
        (
            first.setdefault(hashlib.blake2b(row, digest_size=16).digest(), index)
            for index, row in enumerate(np.ascontiguousarray(vectors))
        ),
        dtype=np.intp,
        count=len(vectors),
    )
