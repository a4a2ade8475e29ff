"""A block of groups as arrays: what one worker makes of a piece of a file.

Languages, texts and groups have numbers of the block's own; ``merging`` joins blocks.
"""

from __future__ import annotations

import json
import zipfile
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from isoglot.artifacts import atomic_write
from isoglot.data.prepared.files import join_strings
from isoglot.data.prepared.hashing import fold, hash_strings, order_hash
from isoglot.errors import ArtifactError, DataError
from isoglot.records import Group

__all__ = ["Block", "BlockBuilder", "StoredBlock", "save_block"]

Block = Mapping[str, npt.NDArray[Any]]
"""Arrays by name. ``langs``; ``text_bytes``, ``text_ends``, ``text_hash`` and ``folded_hash`` of
every different text once; ``id_bytes``, ``id_ends``, ``id_hash``, ``order_hash`` and ``line`` of
the groups; ``query`` and ``passage``, (texts, 3): group, language, text; ``negative`` the same of
listed negatives, whose groups are in ``negative_owner``; ``notes``, JSON of the reader."""


class BlockBuilder:
    """Collects groups.

    Args:
        dataset: Name of their data set, for errors.
        prefix: Stands before the ids where they decide what is held out.
    """

    def __init__(self, dataset: str, prefix: str = "") -> None:
        self._dataset = dataset
        self._prefix = prefix
        self._ids: list[str] = []
        self._lines = array("q")
        self._langs: dict[str, int] = {}
        self._texts: dict[str, int] = {}
        self._sides = {side: array("i") for side in ("query", "passage", "negative")}
        self._owners = array("i")

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, group: Group, line: int = 0) -> None:
        """Add a group that stands in a line of its file.

        Raises:
            DataError: If it has no query or no passage.
        """
        if not group.query or not group.passage:
            raise DataError(
                f"data set {self._dataset!r}: group {group.group_id!r} lacks a query or passage"
            )
        number = len(self._ids)
        self._ids.append(group.group_id)
        self._lines.append(line)
        self._add("query", number, group.query)
        if group.passage is group.query:  # as of a bitext
            self._sides["passage"].extend(self._sides["query"][-3 * len(group.query) :])
        else:
            self._add("passage", number, group.passage)
        for negative in group.negatives:
            self._add("negative", len(self._owners), negative)
            self._owners.append(number)

    def _add(self, side: str, number: int, texts: Mapping[str, str]) -> None:
        entries = self._sides[side]
        for lang, text in texts.items():
            entries.append(number)
            entries.append(self._langs.setdefault(lang, len(self._langs)))
            entries.append(self._texts.setdefault(text, len(self._texts)))

    def finish(self, notes: Mapping[str, Any] | None = None) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays."""
        texts = [text.encode() for text in self._texts]
        ids = [name.encode() for name in self._ids]
        text_bytes, text_ends = join_strings(texts)
        id_bytes, id_ends = join_strings(ids)
        order = (order_hash(self._prefix + name) for name in self._ids)
        return {
            "langs": np.array(list(self._langs), dtype=np.str_),
            "text_bytes": text_bytes,
            "text_ends": text_ends,
            "text_hash": hash_strings(texts),
            "folded_hash": hash_strings(fold(text).encode() for text in self._texts),
            "id_bytes": id_bytes,
            "id_ends": id_ends,
            "id_hash": hash_strings(ids),
            "order_hash": np.fromiter(order, np.uint64, len(ids)),
            "line": np.array(self._lines, dtype=np.int64),
            "negative_owner": np.array(self._owners, dtype=np.int32),
            "notes": np.frombuffer(json.dumps(notes or {}).encode(), dtype=np.uint8),
            **{
                side: np.array(entries, dtype=np.int32).reshape(-1, 3)
                for side, entries in self._sides.items()
            },
        }


def save_block(path: Path, block: Block) -> None:
    """Write a block atomically.

    Raises:
        ArtifactError: If it cannot be written.
    """
    arrays: dict[str, Any] = dict(block)
    with atomic_write(path, "wb") as file:
        np.savez(file, **arrays)


class StoredBlock(Mapping[str, npt.NDArray[Any]]):
    """A block on disk; an array is read when it is asked for, and not kept."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        try:
            with np.load(self._path, allow_pickle=False) as arrays:
                return np.asarray(arrays[name])
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
            raise ArtifactError(f"{self._path}: cannot be read ({error}); delete it") from error

    def __iter__(self) -> Iterator[str]:
        with np.load(self._path, allow_pickle=False) as arrays:
            return iter(arrays.files)

    def __len__(self) -> int:
        return sum(1 for _ in self)
