"""Passages kept on disk, for a corpus that does not fit in memory.

While texts stream by they are written to one Arrow file per language, which is opened
memory-mapped: ids and languages are at hand as columns, a text is read when it is asked for. What a
collection checks of passages is checked while they are written. Where passages come from is the
readers' business.

A folder holds ``LANG.arrow`` (columns ``doc_id`` and ``text``, uncompressed) and, written last,
``passages.json`` with the key it was made for.
"""

from __future__ import annotations

import bisect
import contextlib
import itertools
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from isoglot.artifacts import atomic_write, read_json, write_json
from isoglot.errors import ArtifactError, DataError
from isoglot.progress import progress_bar
from isoglot.records import Passage

__all__ = [
    "StoredPassages",
    "count_passages",
    "find_missing_ids",
    "open_passages",
    "split_by_language",
    "store_passages",
]

_RECORD = "passages.json"
_FORMAT = "isoglot passages 1"
_BATCH_ROWS = 16_384
"""Passages per record batch: about 10 MB of text, all that a writer holds."""


class _Part(NamedTuple):
    """The passages of one language."""

    lang: str
    table: Any
    """``pyarrow.Table``, memory-mapped."""


class StoredPassages(Sequence[Passage]):
    """Passages on disk: a sequence like any other, and columns without an object per passage.

    Ids are unique, fit for TREC files, and no text is empty.
    """

    def __init__(self, parts: Iterable[_Part]) -> None:
        self._parts = tuple(part for part in parts if part.table.num_rows)
        rows = (part.table.num_rows for part in self._parts)
        self._starts: list[int] = [0, *itertools.accumulate(rows)]

    @classmethod
    def join(cls, stores: Iterable[StoredPassages]) -> StoredPassages:
        """Put stores one after the other; their ids must differ by how they are made."""
        return cls(part for store in stores for part in store._parts)

    @property
    def langs(self) -> tuple[str, ...]:
        """Languages, sorted."""
        return tuple(sorted(self.sizes))

    @property
    def sizes(self) -> dict[str, int]:
        """Passages by language."""
        sizes: Counter[str] = Counter()
        for part in self._parts:
            sizes[part.lang] += part.table.num_rows
        return dict(sizes)

    @cached_property
    def lang_numbers(self) -> NDArray[np.int32]:
        """(passages,): place of the language in ``langs``."""
        numbers = {lang: number for number, lang in enumerate(self.langs)}
        values = np.array([numbers[part.lang] for part in self._parts], dtype=np.int32)
        return np.repeat(values, np.diff(self._starts))

    @property
    def doc_ids(self) -> Any:  # noqa: ANN401 - pyarrow has no types
        """(passages,): ``pyarrow.ChunkedArray`` of strings, memory-mapped."""
        import pyarrow as pa

        chunks = [chunk for part in self._parts for chunk in part.table["doc_id"].chunks]
        return pa.chunked_array(chunks, pa.string())

    def rows_of(self, doc_ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the row of each id, -1 where no passage has it: (ids,).

        One pass over the ids on disk; memory grows with the ids asked for and by four bytes per
        passage of the largest language.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        places = {doc_id: place for place, doc_id in enumerate(dict.fromkeys(doc_ids))}
        wanted = pa.array(places, pa.string())
        rows = np.full(len(places), -1, dtype=np.int64)
        for part, start in zip(self._parts, self._starts[:-1], strict=True):
            found = pc.fill_null(pc.index_in(part.table["doc_id"], value_set=wanted), -1).to_numpy()
            hits = np.flatnonzero(found >= 0)
            rows[found[hits]] = start + hits
        return rows[np.fromiter((places[doc_id] for doc_id in doc_ids), np.int64, len(doc_ids))]

    def restrict(self, langs: Iterable[str]) -> StoredPassages:
        """Return the passages in some languages."""
        wanted = set(langs)
        return StoredPassages(part for part in self._parts if part.lang in wanted)

    def rows(self, start: int, stop: int) -> StoredPassages:
        """Return the passages of some rows, without copying them."""
        parts = zip(self._parts, self._starts[:-1], strict=True)
        return StoredPassages(
            _Part(part.lang, part.table[max(start - offset, 0) : max(stop - offset, 0)])
            for part, offset in parts
        )

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[Passage]:
        for lang, table in self._parts:
            for batch in table.to_batches():
                yield from _passages(lang, batch)

    @overload
    def __getitem__(self, index: int) -> Passage: ...
    @overload
    def __getitem__(self, index: slice) -> list[Passage]: ...
    def __getitem__(self, index: int | slice) -> Passage | list[Passage]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step == 1:
                return list(self._between(start, stop))
            return [self[row] for row in range(start, stop, step)]
        row = index + len(self) if index < 0 else index
        if not 0 <= row < len(self):
            raise IndexError(f"row {index} of {len(self)} passages")
        return next(self._between(row, row + 1))

    def __repr__(self) -> str:
        return f"StoredPassages({self.sizes})"

    def _between(self, start: int, stop: int) -> Iterator[Passage]:
        first = bisect.bisect_right(self._starts, start) - 1
        parts = zip(self._parts[first:], self._starts[first:-1], strict=True)
        for (lang, table), offset in parts:
            if offset >= stop:
                return
            skip = max(start - offset, 0)
            yield from _passages(lang, table.slice(skip, stop - offset - skip))


def store_passages(
    folder: Path,
    key: Mapping[str, str],
    read: Callable[[], Iterable[Passage]],
    *,
    name: str,
    show_progress: bool = False,
) -> StoredPassages:
    """Open the passages of a folder, written first if it does not hold them or is damaged.

    Within a language they keep their order; languages come in the order of their first passage.
    Writing holds one batch of texts per language and 8 bytes per passage, to find repeated ids. An
    interrupted writing leaves no ``passages.json`` and starts again.

    Args:
        folder: For these passages alone.
        key: What the passages depend on, such as the SHA-256 of the files they come from; a folder
            made for another key is written anew.
        read: Begins to read the passages.
        name: Of the collection, for errors.
        show_progress: Show how many have been written, and how fast.

    Raises:
        DataError: If ``read`` does, an id is repeated or has white space, or a text is empty.
        ArtifactError: If the folder cannot be written.
    """
    wanted = {"format": _FORMAT, **key}
    stored = _open(folder, wanted)
    if stored is not None:
        return stored
    _clear(folder)
    sizes, hashes = _write(folder, read(), name, show_progress)
    stored = StoredPassages(_map(folder, lang) for lang in sizes)
    _refuse_repeats(stored, hashes, name)
    write_json(folder / _RECORD, {"key": wanted, "bytes": sizes})
    return stored


def open_passages(folder: Path) -> StoredPassages:
    """Open the passages that were stored in a folder, whatever they were made from.

    Raises:
        ArtifactError: If there are none, or they are damaged.
    """
    record = read_json(folder / _RECORD)
    key = record.get("key") if isinstance(record, dict) else None
    stored = _open(folder, key) if isinstance(key, dict) and key.get("format") == _FORMAT else None
    if stored is None:
        raise ArtifactError(f"{folder}: the stored passages are damaged; store them again")
    return stored


def count_passages(passages: Sequence[Passage]) -> dict[str, int]:
    """Count passages by language, in memory or stored."""
    if isinstance(passages, StoredPassages):
        return passages.sizes
    return dict(Counter(passage.lang for passage in passages))


def find_missing_ids(passages: Sequence[Passage], doc_ids: Iterable[str]) -> set[str]:
    """Return the ids that no passage has, passages in memory or stored."""
    wanted = list(dict.fromkeys(doc_ids))
    if isinstance(passages, StoredPassages):
        rows = passages.rows_of(wanted)
        return {doc_id for doc_id, row in zip(wanted, rows, strict=True) if row < 0}
    return set(wanted) - {passage.doc_id for passage in passages}


def split_by_language(passages: Sequence[Passage]) -> dict[str, Sequence[Passage]]:
    """Return the passages of each language, languages sorted, passages in their order."""
    if isinstance(passages, StoredPassages):
        return {lang: passages.restrict([lang]) for lang in passages.langs}
    found: dict[str, list[Passage]] = {}
    for passage in passages:
        found.setdefault(passage.lang, []).append(passage)
    return dict(sorted(found.items()))


def _passages(lang: str, rows: Any) -> Iterator[Passage]:  # noqa: ANN401 - pyarrow has no types
    columns = rows["doc_id"].to_pylist(), rows["text"].to_pylist()
    for doc_id, text in zip(*columns, strict=True):
        yield Passage(doc_id, lang, text)


def _open(folder: Path, key: Mapping[str, str]) -> StoredPassages | None:
    """Open a folder that was made for ``key`` and is whole, else return None."""
    import pyarrow as pa

    sizes = _recorded_sizes(folder, key)
    if sizes is None:
        return None
    try:
        if any((folder / f"{lang}.arrow").stat().st_size != size for lang, size in sizes.items()):
            return None
        return StoredPassages(_map(folder, lang) for lang in sizes)
    except (OSError, pa.ArrowException):  # a file is missing or no Arrow file of ours
        return None


def _recorded_sizes(folder: Path, key: Mapping[str, str]) -> dict[str, int] | None:
    """Return the bytes of every language's file; None without a sound record for ``key``."""
    try:
        record = read_json(folder / _RECORD)
    except ArtifactError:
        return None
    if not isinstance(record, dict) or record.get("key") != key:
        return None
    sizes = record.get("bytes")
    return sizes if isinstance(sizes, dict) else None


def _clear(folder: Path) -> None:
    """Take away the record and what a killed process may have left."""
    patterns = (_RECORD, f".{_RECORD}.*", ".*.arrow.*")
    for path in itertools.chain.from_iterable(map(folder.glob, patterns)):
        path.unlink(missing_ok=True)


def _map(folder: Path, lang: str) -> _Part:
    """Open the file of a language.

    Raises:
        pyarrow.ArrowException: If it is no Arrow file, or has other columns.
    """
    import pyarrow as pa

    table = pa.ipc.open_file(pa.memory_map(str(folder / f"{lang}.arrow"))).read_all()
    table.validate()
    if table.schema != _schema():
        raise pa.ArrowInvalid(f"the columns of {lang}.arrow are {table.schema.names}")
    return _Part(lang, table)


def _schema() -> Any:  # noqa: ANN401 - pyarrow has no types
    import pyarrow as pa

    return pa.schema([("doc_id", pa.string()), ("text", pa.string())])


def _write(
    folder: Path, passages: Iterable[Passage], name: str, show_progress: bool
) -> tuple[dict[str, int], NDArray[np.int64]]:
    """Write one file per language; return their sizes in bytes and a hash of every id."""
    writers: dict[str, _LanguageWriter] = {}
    hashes = array("q")
    with (
        contextlib.ExitStack() as files,
        progress_bar(f"storing {name}", None, "passage", show=show_progress) as bar,
    ):
        for passage in passages:
            _check(passage, name)
            if passage.lang not in writers:
                path = folder / f"{passage.lang}.arrow"
                file = files.enter_context(atomic_write(path, "wb"))
                writers[passage.lang] = _LanguageWriter(file)
            writers[passage.lang].add(passage)
            hashes.append(hash(passage.doc_id))
            bar.update()
        for writer in writers.values():
            writer.close()
    sizes = {lang: (folder / f"{lang}.arrow").stat().st_size for lang in writers}
    return sizes, np.frombuffer(hashes, dtype=np.int64) if hashes else np.empty(0, dtype=np.int64)


class _LanguageWriter:
    """Writes passages to an open file, a batch at a time."""

    def __init__(self, file: Any) -> None:  # noqa: ANN401 - any binary file
        import pyarrow as pa

        self._schema = _schema()
        self._writer = pa.ipc.new_file(file, self._schema)
        self._ids: list[str] = []
        self._texts: list[str] = []

    def add(self, passage: Passage) -> None:
        self._ids.append(passage.doc_id)
        self._texts.append(passage.text)
        if len(self._ids) == _BATCH_ROWS:
            self._flush()

    def close(self) -> None:
        if self._ids:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa

        self._writer.write_batch(pa.record_batch([self._ids, self._texts], schema=self._schema))
        self._ids, self._texts = [], []


def _check(passage: Passage, name: str) -> None:
    if not passage.text.strip():
        raise DataError(f"{name}: passage {passage.doc_id!r} has an empty text")
    if passage.doc_id.split() != [passage.doc_id]:
        raise DataError(
            f"{name}: passage id {passage.doc_id!r} is empty or has white space, which separates "
            "the columns of TREC files; rename it, for example with '_'"
        )


def _refuse_repeats(stored: StoredPassages, hashes: NDArray[np.int64], name: str) -> None:
    """Find ids that occur twice: equal ids have equal hashes, and few other ids do."""
    hashes.sort()
    suspects = set(hashes[1:][hashes[1:] == hashes[:-1]].tolist())
    if not suspects:
        return
    ids = (doc_id for chunk in stored.doc_ids.chunks for doc_id in chunk.to_pylist())
    counts = Counter(doc_id for doc_id in ids if hash(doc_id) in suspects)
    if repeated := sorted(doc_id for doc_id, count in counts.items() if count > 1):
        raise DataError(
            f"{name}: passage id {repeated[0]!r} occurs more than once "
            f"({len(repeated)} such id{'s' if len(repeated) > 1 else ''})"
        )
