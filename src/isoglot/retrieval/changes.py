"""Changes of an index: new passages, which replace those of the same id, deletions, compaction.

Every change builds what is new beside what is there and then replaces the manifest. Whoever
searches meanwhile finds the passages of before or those of after, never a mixture.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from isoglot.artifacts import atomic_write
from isoglot.config.index import IndexConfig
from isoglot.data.corpus import StoredPassages, open_passages
from isoglot.encoding.shards import Origin
from isoglot.errors import ArtifactError
from isoglot.retrieval.building import Plan, build_segment
from isoglot.retrieval.engine import refuse_other_encoder
from isoglot.retrieval.kinds import choose_kind, import_faiss
from isoglot.retrieval.manifest import (
    DELETED,
    SEGMENTS,
    Entry,
    Manifest,
    is_index,
    lock_index,
    read_manifest,
    remove_unused,
    write_manifest,
)
from isoglot.retrieval.segments import PASSAGES, Segment
from isoglot.retrieval.sources import MergedSource, SegmentSource

__all__ = ["Changed", "add_passages", "compact_index", "delete_passages", "open_segment"]

Report = Callable[[str], object]
_MANY_SEGMENTS = 8
_MANY_DELETED = 0.2
_IDS_AT_A_TIME = 2_000_000
"""New ids that old ones are compared with at once."""


@dataclass(frozen=True)
class Changed:
    """What a change did."""

    sizes: Mapping[str, int]
    """Passages by language after it."""
    added: int = 0
    deleted: int = 0
    """Passages that no longer count, replaced ones included."""
    missing: tuple[str, ...] = ()
    """Ids that were to be deleted and are not there."""


def add_passages(
    root: Path,
    origin: Origin,
    sources: Sequence[SegmentSource],
    config: IndexConfig,
    report: Report,
    *,
    show_progress: bool = False,
) -> Changed:
    """Add passages to an index, new or existing; a passage with a known id takes its place.

    Args:
        root: Folder of the index.
        origin: What made the vectors.
        sources: Passages and vectors, one source per language.
        config: How they are kept.
        report: Takes a line per segment.
        show_progress: Show progress bars.

    Raises:
        ArtifactError: If another process changes the index, it was made with another encoder, or
            it cannot be written.
        ConfigError: If the kind of index does not fit.
        DataError: If a vector cannot be scored.
    """
    _set_threads(config.threads)
    with lock_index(root):
        before = read_manifest(root) if is_index(root) else Manifest(origin, config.words)
        refuse_other_encoder(f"{root}:", before.origin, origin, "choose another folder")
        config = config.model_copy(update={"words": before.words})
        plans = [plan for source in sources for plan in _plans(source, before, config)]
        entries = []
        for plan in plans:
            entry, line = build_segment(root, plan, show_progress=show_progress)
            entries.append(entry)
            report(line)
        kept = _replace(root, before, entries)
        deleted = sum(e.deleted_rows for e in kept) - sum(e.deleted_rows for e in before.entries)
        after = _commit(root, before.successor([*kept, *entries]))
    for line in _advice(after):
        report(line)
    return Changed(after.sizes, sum(entry.rows for entry in entries), deleted)


def delete_passages(
    root: Path, doc_ids: Iterable[str], report: Report = lambda line: None
) -> Changed:
    """Delete passages; ids that are not there are returned.

    Args:
        root: Folder of the index.
        doc_ids: Of the passages, in any language.
        report: Takes advice, where there is some.

    Raises:
        ArtifactError: If there is no index, another process changes it, or it cannot be written.
    """
    wanted = list(dict.fromkeys(doc_ids))
    read_manifest(root)  # before a folder is made for the lock
    with lock_index(root):
        before = read_manifest(root)
        entries, found = _delete(root, before, wanted)
        if not found:
            return Changed(before.sizes, missing=tuple(wanted))
        after = _commit(root, before.successor(entries))
    for line in _advice(after):
        report(line)
    return Changed(
        after.sizes,
        deleted=len(found),
        missing=tuple(doc_id for doc_id in wanted if doc_id not in found),
    )


def compact_index(
    root: Path, config: IndexConfig, report: Report, *, show_progress: bool = False
) -> Changed:
    """Make one segment, as far as ``segment_rows`` allows, of the segments of each language.

    Raises:
        ArtifactError: If there is no index, another process changes it, or it cannot be written.
    """
    read_manifest(root)  # before a folder is made for the lock
    _set_threads(config.threads)
    with lock_index(root):
        before = read_manifest(root)
        config = config.model_copy(update={"words": before.words})
        entries: list[Entry] = []
        for lang, own in before.by_language().items():
            segments = [open_segment(root, entry) for entry in own]
            if _is_compact(segments, config):
                entries += own
                continue
            source = MergedSource(segments, [f"{entry.name} {entry.deleted}" for entry in own])
            if not source.rows:
                report(f"{lang}: no passages left")
            for plan in _plans(source, before, config):
                entry, line = build_segment(root, plan, show_progress=show_progress)
                entries.append(entry)
                report(line)
        changed = set(entries) != set(before.entries)
        after = _commit(root, before.successor(entries) if changed else before)
    return Changed(after.sizes)


def open_segment(root: Path, entry: Entry) -> Segment:
    """Open a segment with its deletions.

    Raises:
        ArtifactError: If a file is missing or damaged.
    """
    deleted = _read_deleted(root, entry) if entry.deleted is not None else None
    return Segment.open(root / SEGMENTS / entry.name, deleted)


def _plans(source: SegmentSource, before: Manifest, config: IndexConfig) -> list[Plan]:
    """Cut a source into segments of one size: a small last one might not train compressed lists.

    How they are kept goes by all passages of the language.
    """
    parts = _parts(source.rows, config)
    if not parts:
        return []
    kind = choose_kind(source.rows, source.rows // parts, config.kind)
    cuts = [source.rows * part // parts for part in range(parts + 1)]
    dtype, generation = before.origin.dtype, before.generation + 1
    return [
        Plan(source, start, stop, kind, dtype, config.words, generation)
        for start, stop in itertools.pairwise(cuts)
    ]


def _parts(rows: int, config: IndexConfig) -> int:
    return math.ceil(rows / config.segment_rows)


def _is_compact(segments: Sequence[Segment], config: IndexConfig) -> bool:
    """Say whether the segments of a language are what compaction would make of them."""
    return (
        all(segment.deleted is None for segment in segments)
        and len(segments) == _parts(sum(segment.rows for segment in segments), config)
        and all(config.kind in (None, segment.kind) for segment in segments)
    )


def _delete(root: Path, before: Manifest, doc_ids: Sequence[str]) -> tuple[list[Entry], set[str]]:
    """Return the entries with these passages deleted, and the ids that were found."""
    after: list[Entry] = []
    found: set[str] = set()
    for entry in before.entries:
        rows = _stored(root, entry).rows_of(doc_ids)
        deleted = _read_deleted(root, entry)
        places = np.flatnonzero(rows >= 0)
        places = places[~deleted[rows[places]]]
        found.update(doc_ids[place] for place in places.tolist())
        deleted[rows[places]] = True
        after.append(_mark(root, entry, deleted, before.generation + 1))
    return after, found


def _replace(root: Path, before: Manifest, new: Sequence[Entry]) -> list[Entry]:
    """Return the entries that were there, with the passages deleted whose ids new ones have."""
    import pyarrow.compute as pc

    after = list(before.entries)
    for batch in _batches(new) if after else ():
        ids = StoredPassages.join(_stored(root, entry) for entry in batch).doc_ids
        for number, entry in enumerate(after):
            replaced = pc.is_in(_stored(root, entry).doc_ids, value_set=ids).to_numpy()
            deleted = _read_deleted(root, entry) | replaced
            after[number] = _mark(root, entry, deleted, before.generation + 1)
    return after


def _batches(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Yield some entries at a time, whose ids fit in memory."""
    batch: list[Entry] = []
    for entry in entries:
        if batch and sum(own.rows for own in batch) + entry.rows > _IDS_AT_A_TIME:
            yield batch
            batch = []
        batch.append(entry)
    if batch:
        yield batch


def _read_deleted(root: Path, entry: Entry) -> NDArray[np.bool_]:
    if entry.deleted is None:
        return np.zeros(entry.rows, dtype=np.bool_)
    path = root / DELETED / entry.deleted
    try:
        bits = np.load(path, allow_pickle=False)
        return np.unpackbits(bits, count=entry.rows).astype(np.bool_)
    except (OSError, ValueError, TypeError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error}); index again") from error


def _mark(root: Path, entry: Entry, deleted: NDArray[np.bool_], generation: int) -> Entry:
    """Return an entry whose deleted rows are these; unchanged if they were before."""
    if int(deleted.sum()) == entry.deleted_rows:
        return entry
    file = f"{entry.name}-{generation:06d}.npy"
    with atomic_write(root / DELETED / file, "wb") as target:
        np.save(target, np.packbits(deleted), allow_pickle=False)
    return replace(entry, deleted=file, deleted_rows=int(deleted.sum()))


def _commit(root: Path, after: Manifest) -> Manifest:
    write_manifest(root, after)
    remove_unused(root, after)
    return after


def _stored(root: Path, entry: Entry) -> StoredPassages:
    return open_passages(root / SEGMENTS / entry.name / PASSAGES)


def _set_threads(threads: int | None) -> None:
    if threads is not None:
        import_faiss().omp_set_num_threads(threads)


def _advice(manifest: Manifest) -> Iterable[str]:
    for lang, entries in manifest.by_language().items():
        rows, deleted = (
            sum(getattr(e, name) for e in entries) for name in ("rows", "deleted_rows")
        )
        if len(entries) > _MANY_SEGMENTS or deleted > _MANY_DELETED * rows:
            yield (
                f"{lang}: {len(entries)} segments, {deleted:,} of {rows:,} passages deleted; "
                "isoglot index --compact makes searching faster"
            )
