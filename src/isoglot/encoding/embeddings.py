"""Embeddings of a collection from a folder: our shards, or arrays that any other system wrote.

The form for other systems: ``queries.npy`` with ``queries.ids.tsv`` (language, tab, query id), and
``passages.npy`` with ``passages.ids.txt`` (doc id), one line per row. Rows are brought into the
collection's order by their ids; whether values can be scored is the evaluation's business.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.data.collection import Collection
from isoglot.data.corpus import StoredPassages
from isoglot.data.files import ask_language, list_folder, read_lines
from isoglot.encoding.shards import MANIFEST, Origin, open_shards
from isoglot.errors import DataError

__all__ = ["Embeddings", "read_embeddings"]

_BATCH_LINES = 100_000
_FORMS = (
    f"{MANIFEST} of isoglot's shards, or queries.npy, queries.ids.tsv, passages.npy and "
    "passages.ids.txt"
)


@dataclass(frozen=True)
class Embeddings:
    """The vectors of a collection, in its order."""

    queries: NDArray[Any]
    """(queries, dim)."""
    passages: tuple[NDArray[Any], ...]
    """Arrays that make (passages, dim) together: memory-mapped where the rows on disk are in the
    collection's order, else one array in memory."""
    origin: Origin | None
    """What made them; None where another system did."""


def read_embeddings(folder: Path, collection: Collection, *, verify: bool = False) -> Embeddings:
    """Open the embeddings of a collection.

    Passages stay on disk if they come in the collection's order, as those of a stored corpus do;
    else their array is put in order in memory.

    Args:
        folder: In one of the two forms. Of our shards, other languages (finished or not) and other
            queries are left out.
        collection: Every text must have a vector.
        verify: Compare the SHA-256 of our shards; sizes are always compared.

    Raises:
        ArtifactError: If our shards of the collection's languages are unfinished or damaged.
        DataError: If files are missing or malformed, or an id is missing, unknown or repeated.
    """
    if (folder / MANIFEST).is_file():
        return _read_shards(folder, collection, verify)
    if not folder.is_dir() or not (folder / "queries.npy").is_file():
        found = list_folder(folder) if folder.is_dir() else "no such folder"
        raise DataError(f"{folder}: no embeddings; found {found}; allowed: {_FORMS}")
    query_ids = folder / "queries.ids.tsv"
    doc_ids = folder / "passages.ids.txt"
    queries = _align(
        _query_keys(collection), _read_query_ids(query_ids), str(query_ids), "query", collection
    )
    passages = _align(
        _doc_ids(collection), _arrow(_batches(doc_ids)), str(doc_ids), "passage", collection
    )
    query_vectors = _read_array(folder / "queries.npy", query_ids, queries.lines)
    vectors = _read_array(folder / "passages.npy", doc_ids, passages.lines)
    return Embeddings(
        np.asarray(query_vectors if queries.rows is None else query_vectors[queries.rows]),
        (vectors if passages.rows is None else vectors[passages.rows],),
        None,
    )


@dataclass(frozen=True)
class _Alignment:
    """Which row of the embeddings belongs to each text."""

    rows: NDArray[np.int64] | None
    """(texts,); None if the order is the same."""
    lines: int
    """Rows of the embeddings."""


def _read_shards(folder: Path, collection: Collection, verify: bool) -> Embeddings:
    shards = open_shards(
        folder,
        passage_langs=collection.passage_langs,
        query_langs=collection.query_langs,
        verify=verify,
    )
    passages = _align(
        _doc_ids(collection),
        _arrow(ids for _, ids in shards.ids("passages")),
        f"{folder}, passages",
        "passage",
        collection,
    )
    queries = _align(
        _query_keys(collection),
        _arrow([_key(lang, name) for name in ids] for lang, ids in shards.ids("queries")),
        f"{folder}, queries",
        "query",
        collection,
        others=True,  # such as translated topics
    )
    query_vectors = np.concatenate(list(shards.vectors("queries")))
    vectors = tuple(shards.vectors("passages"))
    return Embeddings(
        query_vectors if queries.rows is None else query_vectors[queries.rows],
        vectors if passages.rows is None else (np.concatenate(vectors)[passages.rows],),
        shards.origin,
    )


def _align(
    wanted: Any,  # noqa: ANN401 - pyarrow has no types
    found: Any,  # noqa: ANN401
    where: str,
    what: str,
    collection: Collection,
    *,
    others: bool = False,
) -> _Alignment:
    """Find the row of every id; both are ``pyarrow.ChunkedArray`` of strings.

    Raises:
        DataError: If an id is missing, repeated or, unless there may be ``others``, unknown.
    """
    import pyarrow.compute as pc

    if wanted.equals(found):
        return _Alignment(None, len(found))
    if len(pc.unique(found)) < len(found):
        counts = pc.value_counts(found)
        repeated = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
        raise DataError(
            f"{where}: {what} {_show(repeated[0])} has more than one row "
            f"({len(repeated)} such); keep one row for each"
        )
    rows = pc.index_in(wanted, value_set=found)
    if rows.null_count:
        missing = wanted.filter(pc.is_null(rows))
        raise DataError(
            f"{where}: no row for {what} {_show(missing[0])} of {collection.name} "
            f"({len(missing)} of {len(wanted)} are missing); encode these too"
        )
    if len(found) > len(wanted) and not others:
        unknown = found.filter(pc.invert(pc.is_in(found, value_set=wanted)))
        raise DataError(
            f"{where}: {what} {_show(unknown[0])} is not in {collection.name} "
            f"({len(unknown)} such of {len(found)}); take these rows out"
        )
    return _Alignment(rows.to_numpy().astype(np.int64), len(found))


def _read_array(path: Path, ids: Path, lines: int) -> NDArray[Any]:
    """Open a memory-mapped array that has a row for each line of ids."""
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; allowed: {_FORMS}") from None
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as a .npy file of numbers ({error})") from error
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating):
        raise DataError(
            f"{path}: expected floating-point vectors of shape (texts, dim), got {array.dtype} of "
            f"shape {array.shape}"
        )
    if len(array) != lines:
        raise DataError(f"{path}: {len(array)} rows, but {ids.name} has {lines} ids")
    return array


def _batches(path: Path) -> Iterator[list[str]]:
    """Yield the lines of a file of ids, some at a time."""
    lines = read_lines(path)
    while batch := list(itertools.islice(lines, _BATCH_LINES)):
        for number, line in batch:
            if not line:
                raise DataError(f"{path}:{number}: an empty line; every row needs its id")
        yield [line for _, line in batch]


def _read_query_ids(path: Path) -> Any:  # noqa: ANN401 - pyarrow has no types
    keys = []
    for number, line in enumerate(itertools.chain.from_iterable(_batches(path)), 1):
        lang, tab, query_id = line.partition("\t")
        if not tab or not query_id:
            raise DataError(f"{path}:{number}: expected language, tab and query id, got {line!r}")
        keys.append(_key(ask_language(lang, f"{path}:{number}"), query_id))
    return _arrow([keys])


def _doc_ids(collection: Collection) -> Any:  # noqa: ANN401 - pyarrow has no types
    if isinstance(collection.passages, StoredPassages):
        return collection.passages.doc_ids
    return _arrow([[passage.doc_id for passage in collection.passages]])


def _query_keys(collection: Collection) -> Any:  # noqa: ANN401 - pyarrow has no types
    return _arrow([[_key(query.lang, query.query_id) for query in collection.queries]])


def _key(lang: str, query_id: str) -> str:
    return f"{query_id} ({lang})"


def _show(value: Any) -> str:  # noqa: ANN401 - a pyarrow scalar
    return repr(value.as_py())


def _arrow(batches: Iterable[list[str]]) -> Any:  # noqa: ANN401 - pyarrow has no types
    import pyarrow as pa

    return pa.chunked_array([pa.array(batch, pa.string()) for batch in batches], pa.string())
