"""Embeddings made ready for scoring: checked, normalized for cosine, equal rows found.

No scores here. Everything works row by row with the same operations in the same order, so equal
rows stay equal to the last bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.errors import ConfigError, DataError

__all__ = [
    "ROWS_AT_A_TIME",
    "SIMILARITIES",
    "check_embeddings",
    "check_similarity",
    "first_copies",
    "prepare_rows",
    "prepare_vectors",
    "repeated_rows",
]

SIMILARITIES = ("cosine", "dot")

ROWS_AT_A_TIME = 512
"""Rows worked on at a time: they stay in the processor's cache."""
_KEY_BYTES = 16
_SHORT = 1e-12
_MAX_LENGTH = 1e18
"""Two vectors of this length have a dot product that float32 still holds."""


def check_similarity(similarity: str) -> str:
    """Return the similarity.

    Raises:
        ConfigError: If it is unknown.
    """
    if similarity not in SIMILARITIES:
        raise ConfigError(f"unknown similarity {similarity!r}; choose {' or '.join(SIMILARITIES)}")
    return similarity


def check_embeddings(embeddings: NDArray[Any], what: str) -> None:
    """Refuse an array that does not hold one vector per text.

    Raises:
        DataError: If it has another shape or type.
    """
    shaped = embeddings.ndim == 2 and embeddings.shape[1] > 0
    if not shaped or not np.issubdtype(embeddings.dtype, np.floating):
        raise DataError(
            f"{what} embeddings: expected a floating-point array of shape ({what} count, dim), "
            f"got {embeddings.dtype} of shape {embeddings.shape}"
        )


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
    check_similarity(similarity)
    check_embeddings(embeddings, what)
    if len(embeddings) != len(ids):
        raise DataError(
            f"{what} embeddings: {len(embeddings)} rows for {len(ids)} texts; "
            "encode the collection again"
        )
    return prepare_rows(embeddings, ids.__getitem__, what, similarity)


def prepare_rows(
    embeddings: NDArray[Any], name: Callable[[int], str], what: str, similarity: str
) -> NDArray[np.float32]:
    """Do the work of `prepare_vectors` on checked arguments; ``name`` gives a row's id."""
    vectors = np.empty(embeddings.shape, dtype=np.float32)
    for start in range(0, len(embeddings), ROWS_AT_A_TIME):
        rows = slice(start, start + ROWS_AT_A_TIME)
        block = embeddings[rows].astype(np.result_type(embeddings.dtype, np.float32))
        with np.errstate(over="ignore", under="ignore"):
            lengths = np.sqrt((block * block).sum(axis=1, keepdims=True))
            # The squares of very short vectors vanish in float32.
            short = np.flatnonzero(lengths < _SHORT)
            lengths[short] = np.linalg.norm(block[short].astype(np.float64), axis=1, keepdims=True)
        _refuse_unusable(lengths[:, 0], name, start, what)
        if similarity == "cosine":
            block /= np.where(lengths > 0, lengths, 1)
        block += 0.0  # turns -0.0 into 0.0: equal rows shall have equal bytes
        vectors[rows] = block
    return vectors


def _refuse_unusable(
    lengths: NDArray[np.floating], name: Callable[[int], str], start: int, what: str
) -> None:
    # Written so that NaN counts as bad: a NaN score compares false and would rank first.
    bad = np.flatnonzero(~(lengths <= _MAX_LENGTH))
    if bad.size:
        raise DataError(
            f"{what} {name(start + int(bad[0]))!r}: its embedding holds NaN, infinity or huge "
            "values; check the model's precision (try float32) and encode again"
        )


def first_copies(vectors: NDArray[Any]) -> NDArray[np.intp]:
    """Return, for every row, the index of the first row with the same bytes: (rows,)."""
    first_rows = np.arange(len(vectors))
    seen: dict[bytes, int] = {}
    for row in np.flatnonzero(_shares_its_key(_row_keys(vectors))).tolist():
        digest = hashlib.blake2b(vectors[row].tobytes(), digest_size=16).digest()
        first_rows[row] = seen.setdefault(digest, row)
    return first_rows


def repeated_rows(segments: Sequence[NDArray[Any]]) -> NDArray[np.intp]:
    """Return the rows that have a twin anywhere in the segments: equal bytes, as they come.

    Args:
        segments: Arrays of one width that make one array together; memory-mapped files, too. Of
            every row the first bytes are read, of those that share them the rest.

    Returns:
        (repeated rows,), ascending, counted through all segments.
    """
    starts = np.cumsum([0, *map(len, segments)])
    candidates = np.flatnonzero(_shares_its_key(np.concatenate([*map(_row_keys, segments)])))
    digests: dict[bytes, list[int]] = {}
    for row in candidates.tolist():
        number = int(np.searchsorted(starts, row, side="right")) - 1
        vector = segments[number][row - starts[number]].tobytes()
        digests.setdefault(hashlib.blake2b(vector, digest_size=16).digest(), []).append(row)
    twins = [row for rows in digests.values() if len(rows) > 1 for row in rows]
    return np.sort(np.array(twins, dtype=np.intp))


def _row_keys(vectors: NDArray[Any]) -> NDArray[np.uint64]:
    """Return a number for the first bytes of every row, equal where they are equal: (rows,)."""
    columns = max(1, min(vectors.shape[1], _KEY_BYTES // vectors.dtype.itemsize))
    head = np.ascontiguousarray(vectors[:, :columns])
    words = head.view(np.uint8).reshape(len(head), columns * vectors.dtype.itemsize)
    padded = np.zeros((len(head), -(-words.shape[1] // 8) * 8), dtype=np.uint8)
    padded[:, : words.shape[1]] = words
    keys = np.zeros(len(head), dtype=np.uint64)
    for column in padded.view(np.uint64).T:
        keys = keys * np.uint64(0x9E3779B97F4A7C15) ^ column
    return keys


def _shares_its_key(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Say of every key whether it occurs more than once: (keys,)."""
    ordered = np.sort(keys)  # far faster than argsort, and mostly enough
    if not (ordered[1:] == ordered[:-1]).any():
        return np.zeros(len(keys), dtype=np.bool_)
    order = np.argsort(keys)
    equal = keys[order[1:]] == keys[order[:-1]]
    shared = np.zeros(len(keys), dtype=np.bool_)
    shared[order[1:]] |= equal
    shared[order[:-1]] |= equal
    return shared
