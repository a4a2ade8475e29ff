"""Changes of an index: new passages, which replace those of the same id, deletions, compaction.

Every change builds what is new beside what is there and then replaces the manifest. Whoever
searches meanwhile finds the passages of before or those of after, never a mixture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
        _refuse_other_encoder(root, before.origin, origin)
        config = config.model_copy(update={"words": before.words})
        plans = [plan for source in sources for plan in _plans(source, before, config)]
        entries = []
        for plan in plans:
            entry, line = build_segment(root, plan, show_progress=show_progress)
            entries.append(entry)
            report(line)
        kept = list(before.entries)
        for entry in entries:
            ids = _stored(root, entry).doc_ids.to_pylist() if kept else []
            kept, _ = _delete(root, kept, ids, before.generation + 1)
        deleted = sum(e.deleted_rows for e in kept) - sum(e.deleted_rows for e in before.entries)
        after = _commit(root, before.successor([*kept, *entries]))
    for line in _advice(after):
        report(line)
    return Changed(after.sizes, sum(entry.rows for entry in entries), deleted)


def delete_passages(root: Path, doc_ids: Iterable[str]) -> Changed:
    """Delete passages; ids that are not there are returned.

    Raises:
        ArtifactError: If there is no index, another process changes it, or it cannot be written.
    """
    wanted = list(dict.fromkeys(doc_ids))
    with lock_index(root):
        before = read_manifest(root)
        entries, found = _delete(root, before.entries, wanted, before.generation + 1)
        if not found:
            return Changed(before.sizes, missing=tuple(wanted))
        after = _commit(root, before.successor(entries))
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
    _set_threads(config.threads)
    with lock_index(root):
        before = read_manifest(root)
        config = config.model_copy(update={"words": before.words})
        entries: list[Entry] = []
        for lang, own in before.by_language().items():
            if len(own) == 1 and not own[0].deleted_rows:
                entries += own
                continue
            source = MergedSource(
                [open_segment(root, entry) for entry in own],
                [f"{entry.name} {entry.deleted}" for entry in own],
            )
            if not source.rows:
                report(f"{lang}: no passages left")
            for plan in _plans(source, before, config):
                entry, line = build_segment(root, plan, show_progress=show_progress)
                entries.append(entry)
                report(line)
        after = _commit(root, before.successor(entries))
    return Changed(after.sizes)


def open_segment(root: Path, entry: Entry) -> Segment:
    """Open a segment with its deletions.

    Raises:
        ArtifactError: If a file is missing or damaged.
    """
    return Segment.open(root / SEGMENTS / entry.name, _read_deleted(root, entry))


def _plans(source: SegmentSource, before: Manifest, config: IndexConfig) -> list[Plan]:
    """Cut a source into segments; how they are kept goes by all passages of the language."""
    rows = source.rows
    kind = choose_kind(rows, config.kind)
    return [
        Plan(
            source,
            start,
            min(start + config.segment_rows, rows),
            kind,
            before.origin.dtype,
            config.words,
            before.generation + 1,
        )
        for start in range(0, rows, config.segment_rows)
    ]


def _delete(
    root: Path, entries: Iterable[Entry], doc_ids: Sequence[str], generation: int
) -> tuple[list[Entry], set[str]]:
    """Return the entries with these passages deleted, and the ids that were found."""
    after: list[Entry] = []
    found: set[str] = set()
    for entry in entries:
        deleted = _read_deleted(root, entry)
        rows = _stored(root, entry).rows_of(doc_ids) if doc_ids else np.empty(0, np.int64)
        places = np.flatnonzero(rows >= 0)
        if deleted is not None:
            places = places[~deleted[rows[places]]]
        if not places.size:
            after.append(entry)
            continue
        marks = np.zeros(entry.rows, dtype=np.bool_) if deleted is None else deleted
        marks[rows[places]] = True
        found.update(doc_ids[place] for place in places.tolist())
        after.append(_write_deleted(root, entry, marks, generation))
    return after, found


def _read_deleted(root: Path, entry: Entry) -> NDArray[np.bool_] | None:
    if entry.deleted is None:
        return None
    path = root / DELETED / entry.deleted
    try:
        bits = np.load(path, allow_pickle=False)
        return np.unpackbits(bits, count=entry.rows).astype(np.bool_)
    except (OSError, ValueError, TypeError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error}); index again") from error


def _write_deleted(root: Path, entry: Entry, deleted: NDArray[np.bool_], generation: int) -> Entry:
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


def _refuse_other_encoder(root: Path, here: Origin, now: Origin) -> None:
    for field, shown in (("identity", "model"), ("dim", "dim"), ("similarity", "similarity")):
        if getattr(here, field) != getattr(now, field):
            raise ArtifactError(
                f"{root}: was made with {shown} {getattr(here, shown)!r}, the new embeddings with "
                f"{getattr(now, shown)!r}; vectors of different encoders cannot be compared, "
                "choose another folder"
            )


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
