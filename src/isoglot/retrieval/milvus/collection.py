"""What a collection is made of: fields, index, and a record of what it holds.

The fields are those of ``entities``, ``doc_id`` is the primary and ``lang`` the partition key. The
record is JSON in the collection's property ``isoglot``, for Milvus itself knows neither the encoder
nor which values a field has, nor whether a load was finished.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from typing_extensions import Self

from isoglot.encoding.shards import Origin
from isoglot.errors import ArtifactError
from isoglot.retrieval.milvus.connection import Connection, import_pymilvus
from isoglot.retrieval.milvus.entities import MOST_ID_BYTES, MOST_TEXT_BYTES

__all__ = [
    "IndexChoice",
    "Loading",
    "Record",
    "choose_index",
    "create_collection",
    "read_record",
    "search_params",
    "write_record",
]

_PROPERTY = "isoglot"
_FORMAT = "isoglot milvus 1"
_LANG_BYTES = 32
_PARTITIONS = 64
"""Languages are hashed into as many; two that share one cost each other time, not passages."""
_HNSW_BYTES = 64 << 30
_HNSW_LINKS = 16
_SEARCH_BREADTH = 128
_LISTS = 2048
_LISTS_SEARCHED = 64
_CREATE_S = 60.0


class IndexChoice(NamedTuple):
    """How Milvus is to keep the vectors."""

    kind: str
    """As Milvus calls it."""
    params: Mapping[str, int]
    why: str
    """For people."""


@dataclass(frozen=True)
class Loading:
    """How far the loading of a language has come."""

    key: str
    """What is loaded: see ``SegmentSource.key``."""
    rows: int
    """Passages that are there."""


@dataclass(frozen=True)
class Record:
    """What a collection holds."""

    origin: Origin
    index: str
    """Kind, as Milvus calls it."""
    complete: bool = False
    """Whether a first load has ended."""
    languages: tuple[str, ...] = ()
    """Sorted; each may have passages."""
    loading: Mapping[str, Loading] = field(default_factory=dict)
    """By language."""

    def with_language(self, lang: str) -> Record:
        """Return a record that has the language too."""
        return replace(self, languages=tuple(sorted({*self.languages, lang})))

    def with_loading(self, lang: str, loading: Loading) -> Record:
        """Return a record that has come further with a language."""
        return replace(self, loading={**self.loading, lang: loading})

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps({"format": _FORMAT, **asdict(self)}, ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the record that was written.

        Raises:
            KeyError, TypeError, ValueError: If it is none.
        """
        values = json.loads(text)
        if values.pop("format") != _FORMAT:
            raise ValueError("another format")
        loading = {lang: Loading(**found) for lang, found in values.pop("loading").items()}
        origin = Origin(**values.pop("origin"))
        languages = tuple(values.pop("languages"))
        return cls(origin, languages=languages, loading=loading, **values)


def choose_index(rows: int, dim: int, *, lite: bool) -> IndexChoice:
    """Choose how the vectors are kept, by their number.

    Args:
        rows: Passages expected.
        dim: Numbers of a vector.
        lite: Whether it is Milvus Lite.
    """
    if lite:
        return IndexChoice("FLAT", {}, "exact; Milvus Lite, for tests and small collections")
    size = rows * (dim * 4 + _HNSW_LINKS * 2 * 4)
    if size <= _HNSW_BYTES:
        why = f"graph; about {_gigabytes(size)} in the memory of the query nodes"
        return IndexChoice("HNSW", {"M": _HNSW_LINKS, "efConstruction": 200}, why)
    why = (
        f"a byte per number; about {_gigabytes(rows * dim)} in the memory of the query nodes, a "
        f"graph would need {_gigabytes(size)}"
    )
    return IndexChoice("IVF_SQ8", {"nlist": _LISTS}, why)


def search_params(kind: str, k: int) -> dict[str, Any]:
    """Return how far a search goes."""
    breadth = {"HNSW": {"ef": max(_SEARCH_BREADTH, 2 * k)}, "IVF_SQ8": {"nprobe": _LISTS_SEARCHED}}
    return {"params": breadth.get(kind, {})}


def create_collection(connection: Connection, origin: Origin, index: IndexChoice) -> Record:
    """Make an empty collection, ready for passages; not complete until its record says so."""
    milvus = import_pymilvus()
    types = milvus.DataType
    schema = milvus.MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("doc_id", types.VARCHAR, is_primary=True, max_length=MOST_ID_BYTES)
    schema.add_field("lang", types.VARCHAR, is_partition_key=True, max_length=_LANG_BYTES)
    schema.add_field("text", types.VARCHAR, max_length=MOST_TEXT_BYTES)
    schema.add_field("draw", types.INT64)
    schema.add_field("vector", types.FLOAT_VECTOR, dim=origin.dim)
    indexes = milvus.MilvusClient.prepare_index_params()
    # Vectors come with length 1 where the similarity is cosine.
    indexes.add_index("vector", index_type=index.kind, metric_type="IP", params=dict(index.params))
    record = Record(origin, index.kind)
    connection.call(
        "create_collection",
        seconds=_CREATE_S,
        schema=schema,
        index_params=indexes,
        properties={_PROPERTY: record.to_json()},
        num_partitions=_PARTITIONS,
        consistency_level="Session",  # who has written sees it
    )
    return record


def read_record(connection: Connection) -> Record:
    """Return what a collection holds.

    Raises:
        ArtifactError: If it is not there or is none of ours.
    """
    found = connection.call("describe_collection")
    try:
        return Record.from_json(found["properties"][_PROPERTY])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{connection.where}: the collection {connection.collection!r} was not made by this "
            "version of isoglot; name another one: ADDRESS#COLLECTION"
        ) from error


def write_record(connection: Connection, record: Record) -> None:
    """Replace the record of a collection."""
    connection.call("alter_collection_properties", properties={_PROPERTY: record.to_json()})


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB"
