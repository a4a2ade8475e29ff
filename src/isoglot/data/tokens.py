"""The tokens of every text, made once and gathered by row.

With a folder they are made shard by shard, so that an interrupted run goes on, and memory-mapped.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tokenizers import Tokenizer

from isoglot.artifacts import is_complete, mark_complete
from isoglot.data.parallel import ParallelTable
from isoglot.data.prepared.files import open_array, sole_writer, write_array
from isoglot.progress import progress_bar

__all__ = ["TokenStore", "Tokenize", "build_tokens", "tokenize_table"]

Tokenize = Callable[[list[str]], Sequence[Sequence[int]]]
"""Texts to the tokens of each; never called from two threads at once."""

IntArray = npt.NDArray[np.int64]
Tokens = npt.NDArray[np.int32]

_FORMAT = 1
_SHARD_TEXTS = 50_000
_SHOW_TEXTS = 200_000
"""Fewer are tokenized without a progress bar."""


@dataclass(frozen=True)
class TokenStore:
    """The tokens of texts in one flat array: of row ``r``, ``tokens[starts[r]:ends[r]]``."""

    tokens: Tokens
    """(tokens,)"""
    starts: IntArray
    """(texts,)"""
    ends: IntArray
    """(texts,)"""

    def frequencies(self, vocabulary: int) -> IntArray:
        """Count how often each subword occurs: (vocabulary,)."""
        counts = np.zeros(vocabulary, dtype=np.int64)
        for start in range(0, len(self.tokens), 1 << 22):
            counts += np.bincount(self.tokens[start : start + (1 << 22)], minlength=vocabulary)
        return counts


def build_tokens(
    texts: pa.Array,
    tokenize: Tokenize,
    key: str,
    folder: Path | None = None,
    rows: npt.NDArray[np.integer[Any]] | None = None,
) -> TokenStore:
    """Tokenize texts, or open the tokens that were made before.

    Args:
        texts: (texts,) Arrow strings.
        tokenize: Makes the tokens. It is called by one thread at a time, a shard of texts per
            call; a fast tokenizer uses every core by itself.
        key: Names what ``tokenize`` does: the same key, the same tokens.
        folder: Prepared folder that the texts are of (``ParallelTable.folder``); None keeps the
            tokens in memory.
        rows: Tokenize these texts only; the others get no tokens. Default: all.

    Raises:
        ArtifactError: If the folder cannot be written.
    """
    wanted = None if rows is None else np.unique(rows)
    shards = _Shards(texts, tokenize, wanted)
    if folder is None:
        parts = [shards.make(number) for number in range(len(shards))]
        tokens = np.concatenate([np.zeros(0, dtype=np.int32), *(part for part, _ in parts)])
        lengths = np.concatenate([np.zeros(0, dtype=np.int64), *(part for _, part in parts)])
        return _store(tokens, shards.offsets(lengths))
    digest = hashlib.blake2b(f"{_FORMAT} {_SHARD_TEXTS} {key}".encode(), digest_size=16)
    if wanted is not None:
        digest.update(wanted.astype("<i8").data)
    target = folder / "tokens" / digest.hexdigest()
    if not is_complete(target):
        with sole_writer(target):
            if not is_complete(target):  # another process may have made them meanwhile
                _fill(target, shards)
    return _store(open_array(target / "tokens.npy"), open_array(target / "offsets.npy"))


def tokenize_table(tokenizer: Tokenizer, table: ParallelTable) -> TokenStore:
    """Return the tokens of all texts of a table, without special tokens.

    Raises:
        ArtifactError: If the table's folder cannot be written.
    """

    def tokenize(texts: list[str]) -> list[list[int]]:
        found = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids for encoding in found]

    return build_tokens(table.texts, tokenize, tokenizer.to_str(), table.folder)


def _store(tokens: Tokens, offsets: IntArray) -> TokenStore:
    return TokenStore(tokens, offsets[:-1], offsets[1:])


class _Shards:
    """The wanted texts in pieces of equal size."""

    def __init__(self, texts: pa.Array, tokenize: Tokenize, rows: IntArray | None) -> None:
        self.texts = texts
        self.rows = rows
        self.count = len(texts) if rows is None else len(rows)
        self._tokenize = tokenize

    def __len__(self) -> int:
        return -(-self.count // _SHARD_TEXTS)

    def size(self, number: int) -> int:
        """Return the number of texts in a shard."""
        return min(_SHARD_TEXTS, self.count - number * _SHARD_TEXTS)

    def make(self, number: int) -> tuple[Tokens, IntArray]:
        """Return the tokens of a shard's texts one after the other, and their counts."""
        span = slice(number * _SHARD_TEXTS, (number + 1) * _SHARD_TEXTS)
        texts = (
            self.texts[span] if self.rows is None else self.texts.take(pa.array(self.rows[span]))
        )
        found = self._tokenize(texts.to_pylist())
        assert len(found) == len(texts), "the tokenizer left out texts"
        lengths = np.fromiter(map(len, found), np.int64, len(found))
        tokens = np.fromiter(chain.from_iterable(found), np.int32, int(lengths.sum()))
        return tokens, lengths

    def offsets(self, lengths: IntArray) -> IntArray:
        """Return where each text starts, and where the last ends: (texts + 1,)."""
        offsets = np.zeros(len(self.texts) + 1, dtype=np.int64)
        offsets[1:][slice(None) if self.rows is None else self.rows] = lengths
        return np.cumsum(offsets, out=offsets)


def _fill(folder: Path, shards: _Shards) -> None:
    """Make the shards that are not there, and join them."""
    paths = [folder / "shards" / f"{number:05}.npy" for number in range(len(shards))]
    missing = [number for number, path in enumerate(paths) if not path.is_file()]
    done, show = len(paths) - len(missing), shards.count > _SHOW_TEXTS
    with progress_bar("tokenizing", len(paths), "shard", done=done, show=show) as bar:
        for number in missing:
            tokens, lengths = shards.make(number)
            shape = (len(lengths) + len(tokens),)
            write_array(paths[number], (lengths, tokens), np.int32, shape)
            bar.update()
    _join(folder, shards, paths)
    shutil.rmtree(folder / "shards", ignore_errors=True)


def _join(folder: Path, shards: _Shards, paths: Sequence[Path]) -> None:
    """Write one array of all tokens, so that a gather is one step."""
    opened = [open_array(path) for path in paths]
    counts = [shards.size(number) for number in range(len(paths))]
    lengths = [shard[:count] for shard, count in zip(opened, counts, strict=True)]
    offsets = shards.offsets(np.concatenate([np.zeros(0, dtype=np.int64), *lengths]))
    tokens = (shard[count:] for shard, count in zip(opened, counts, strict=True))
    write_array(folder / "tokens.npy", tokens, np.int32, (int(offsets[-1]),))
    write_array(folder / "offsets.npy", (offsets,), np.int64, offsets.shape)
    mark_complete(folder)
