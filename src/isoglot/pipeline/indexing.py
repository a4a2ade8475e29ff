"""Embeddings to an index that can be searched, in a folder or in Milvus, and changes of it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from isoglot.artifacts import PROVENANCE, provenance, write_json
from isoglot.config.encoding import EncodingConfig
from isoglot.config.index import IndexConfig
from isoglot.config.schema import ModelConfig
from isoglot.data.files import read_lines
from isoglot.data.passages import PassageOptions, corpus_key
from isoglot.encoding.shards import Origin
from isoglot.errors import ArtifactError, ConfigError, DataError
from isoglot.retrieval.changes import Changed, add_passages, compact_index, delete_passages
from isoglot.retrieval.manifest import is_index, lock_index
from isoglot.retrieval.opening import is_milvus
from isoglot.retrieval.sources import SegmentSource, open_sources

__all__ = ["compact", "delete_listed", "index_corpus", "index_embeddings"]

Report = Callable[[str], object]
_ENCODING = ".encoding"
_ENCODING_LOCK = ".encoding.lock"


def index_embeddings(
    embeddings: Path, target: str, config: IndexConfig, report: Report, *, add: bool = False
) -> Changed:
    """Index what ``isoglot encode`` wrote.

    Args:
        embeddings: Its output folder.
        target: Folder of the index, or address of Milvus. A build that was interrupted is
            continued.
        config: How vectors are kept in a folder.
        report: Takes lines about the work.
        add: Add to an index that exists; a passage with a known id takes its place.

    Raises:
        ArtifactError: If there is an index and nothing is to be added, or the other way round; if
            embeddings or index cannot be read or written.
        ConfigError: If the kind of index does not fit.
        DataError: If passages and vectors do not belong together, or a vector cannot be scored.
    """
    if is_milvus(target):
        return _load_into_milvus(target, *open_sources(embeddings), config, report, add)
    root = Path(target)
    _refuse_wrong_state(root, add)
    origin, sources = open_sources(embeddings)
    changed = add_passages(root, origin, sources, config, report, show_progress=True)
    write_json(root / PROVENANCE, provenance())
    return changed


def index_corpus(
    model: ModelConfig,
    source: str,
    target: str,
    config: IndexConfig,
    report: Report,
    *,
    add: bool = False,
) -> Changed:
    """Encode and index a corpus in one go, with the defaults of both.

    The embeddings are kept in the folder of the index until it is made, so that an interrupted run
    goes on. Those of runs that were given up are removed with them.

    Raises:
        ArtifactError: As `index_embeddings`, or if another process does the same.
        ConfigError: If the kind of index does not fit, or the index is to be in Milvus.
        DataError: If the corpus cannot be used.
        ModelError: If the encoder cannot be loaded.
    """
    from isoglot.pipeline.encoding import run_encoding

    if is_milvus(target):
        raise ConfigError(
            "--model encodes into the folder of the index, and Milvus has none; run isoglot "
            "encode first"
        )
    root, options = Path(target), PassageOptions()
    if add:
        _refuse_wrong_state(root, add)  # before a folder is made for the lock
    made_of = {**corpus_key(source, options), "model": model.model_dump(mode="json")}
    key = json.dumps(made_of, sort_keys=True).encode()
    folder = root / f"{_ENCODING}-{hashlib.sha256(key).hexdigest()[:16]}"
    with lock_index(root, _ENCODING_LOCK):
        if is_index(root) and not add:
            _remove_encodings(root)  # of a run that was killed when all else was done
            raise _already_there(target)
        settings = EncodingConfig(threads=config.threads)
        run_encoding(model, source, folder, settings, options, report)
        changed = index_embeddings(folder, target, config, report, add=add)
        _remove_encodings(root)
    return changed


def delete_listed(target: str, ids: Path, report: Report) -> Changed:
    """Delete the passages whose ids a file lists, one a line.

    Raises:
        ArtifactError: If there is no index, or it cannot be written.
        DataError: If the file cannot be read or lists nothing.
    """
    listed = dict.fromkeys(line.strip() for _, line in read_lines(ids))
    doc_ids = [doc_id for doc_id in listed if doc_id]
    if not doc_ids:
        raise DataError(f"{ids}: lists no ids; give one a line")
    if not is_milvus(target):
        return delete_passages(Path(target), doc_ids, report)
    from isoglot.retrieval.milvus import MilvusEngine

    engine = MilvusEngine.open(target)
    known = engine.known(doc_ids)
    deleted = engine.delete(known)
    missing = tuple(doc_id for doc_id in doc_ids if doc_id not in known)
    return Changed(engine.sizes, deleted=deleted, missing=missing)


def compact(target: str, config: IndexConfig, report: Report) -> Changed:
    """Make the index as if all its passages had been added at once.

    Raises:
        ArtifactError: If there is no index, or it cannot be written.
        ConfigError: If it is in Milvus.
    """
    if is_milvus(target):
        raise ConfigError("Milvus compacts by itself; leave --compact out")
    return compact_index(Path(target), config, report, show_progress=True)


def _load_into_milvus(
    target: str,
    origin: Origin,
    sources: Sequence[SegmentSource],
    config: IndexConfig,
    report: Report,
    add: bool,
) -> Changed:
    from isoglot.retrieval.milvus import MilvusEngine, load_embeddings

    if config.kind is not None:
        raise ConfigError("--kind is of an index in a folder; in Milvus it goes by the passages")
    if add:
        MilvusEngine.open(target).close()  # must be there, and complete
    engine = MilvusEngine.create(target, origin, sum(source.rows for source in sources))
    if engine.record.complete and not add:
        raise _already_there(target)
    sent = load_embeddings(engine, sources, report, show_progress=True)
    return Changed(engine.sizes, added=sent)


def _remove_encodings(root: Path) -> None:
    for folder in root.glob(f"{_ENCODING}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _refuse_wrong_state(index: Path, add: bool) -> None:
    if is_index(index) and not add:
        raise _already_there(str(index))
    if add and not is_index(index):
        raise ArtifactError(f"{index}: no index to add to; leave --add out to make one")


def _already_there(target: str) -> ArtifactError:
    return ArtifactError(
        f"{target}: already holds an index; --add adds to it and replaces passages of the same "
        "id, or choose another --output"
    )
