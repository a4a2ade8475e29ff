"""What a passage is in a collection, how many fit a message, and the filters that name them.

Fields: ``doc_id``, ``lang``, ``text``, ``vector``, and ``draw``, a number by which a filter draws
at random.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.errors import DataError
from isoglot.records import Passage

__all__ = [
    "DRAWS",
    "MOST_ID_BYTES",
    "MOST_TEXT_BYTES",
    "batches",
    "check_passage",
    "draw",
    "entity",
    "has_ids",
    "id_slices",
    "in_language",
]

DRAWS = 1 << 32
"""``draw`` is a number below this."""
MOST_ID_BYTES = 1024
MOST_TEXT_BYTES = 65_535
"""The longest string of Milvus."""

_BATCH_ROWS = 2000
_BATCH_BYTES = 16 << 20
"""Milvus takes messages up to 64 MB."""


def entity(lang: str, passage: Passage, vector: NDArray[np.float32]) -> dict[str, Any]:
    """Return a passage as Milvus takes it."""
    return {
        "doc_id": passage.doc_id,
        "lang": lang,
        "text": passage.text,
        "draw": draw(passage.doc_id),
        "vector": vector.astype(np.float32),
    }


def batches(passages: Sequence[Passage], rows: Iterable[int], dim: int) -> Iterator[list[int]]:
    """Yield rows in batches that fit a message."""
    batch: list[int] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += dim * 4 + 4 * len(passages[row].text)  # a character has 4 bytes at most
        if len(batch) == _BATCH_ROWS or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def draw(doc_id: str) -> int:
    """Return a number below `DRAWS` by the hash of an id, so that a sample is the same always."""
    return int.from_bytes(hashlib.blake2b(doc_id.encode(), digest_size=4).digest(), "big")


def check_passage(passage: Passage) -> None:
    """Refuse what Milvus cannot hold.

    Raises:
        DataError: If the id or the text is too long, or is no Unicode text.
    """
    for what, value, most in (
        ("id", passage.doc_id, MOST_ID_BYTES),
        ("text", passage.text, MOST_TEXT_BYTES),
    ):
        try:
            size = len(value.encode())
        except UnicodeEncodeError as error:
            raise DataError(
                f"passage {passage.doc_id!r}: the {what} is no Unicode text ({error.reason})"
            ) from error
        if size > most:
            raise DataError(
                f"passage {passage.doc_id[:80]!r}: the {what} has {size:,} bytes, and Milvus keeps "
                f"{most:,}; split or shorten it"
            )


def in_language(lang: str) -> str:
    """Return the filter for the passages of a language."""
    return f"lang == {_quote(lang)}"


def has_ids(doc_ids: Iterable[str]) -> str:
    """Return the filter for the passages with some ids."""
    return f"doc_id in [{', '.join(map(_quote, doc_ids))}]"


def id_slices(doc_ids: Iterable[str], size: int) -> Iterator[list[str]]:
    """Yield the ids that a passage can have, sorted, each once, so many at a time."""
    ids = sorted(filter(_is_text, set(doc_ids)))
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _quote(value: str) -> str:
    r"""Write a string so that it ends where it should, whatever is in it.

    >>> print(_quote('a"b\\'))
    "a\"b\\"
    """
    # Line breaks would end it too; other characters stand for themselves.
    escapes = {"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r"}
    return '"' + "".join(escapes.get(character, character) for character in value) + '"'


def _is_text(doc_id: str) -> bool:
    """Say whether a passage can have the id: the empty key stands for none."""
    return bool(doc_id) and not any("\ud800" <= character <= "\udfff" for character in doc_id)
