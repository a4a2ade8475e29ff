"""The manifest of an index on disk: which segments count, and which of their rows are deleted.

    index.json                      replaced as a whole by every change, written last
    segments/LANG-HASH/             passages of one language; never changed once it has its name
    deleted/LANG-HASH-GENERATION.npy  rows of a segment that no longer count

A process that is killed leaves the manifest of before, and so the index of before: segments that
no manifest names do not count. They are used again by the next build that would make the same.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from filelock import FileLock, Timeout

from isoglot.artifacts import read_json, write_json
from isoglot.encoding.shards import Origin
from isoglot.errors import ArtifactError

__all__ = [
    "DELETED",
    "MANIFEST",
    "SEGMENTS",
    "Entry",
    "Manifest",
    "is_index",
    "lock_index",
    "read_manifest",
    "remove_unused",
    "sync_folder",
    "write_manifest",
]

MANIFEST = "index.json"
SEGMENTS = "segments"
DELETED = "deleted"
_FORMAT = "isoglot index 1"
_LOCK = ".lock"


@dataclass(frozen=True)
class Entry:
    """One segment of an index."""

    name: str
    """Its folder under ``segments/``."""
    lang: str
    rows: int
    """Passages, deleted ones included."""
    deleted: str | None = None
    """File under ``deleted/``; None where no row is deleted."""
    deleted_rows: int = 0

    @property
    def live_rows(self) -> int:
        """Passages that count."""
        return self.rows - self.deleted_rows


@dataclass(frozen=True)
class Manifest:
    """What an index holds."""

    origin: Origin
    """What made the vectors."""
    words: bool
    """Whether the segments have BM25 indexes."""
    entries: tuple[Entry, ...] = ()
    """In the order of their building."""
    generation: int = 0
    """Grows by one with every change."""

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Passages that count by language, languages sorted."""
        sizes: dict[str, int] = {}
        for entry in sorted(self.entries, key=lambda entry: entry.lang):
            if entry.live_rows:
                sizes[entry.lang] = sizes.get(entry.lang, 0) + entry.live_rows
        return sizes

    def by_language(self) -> dict[str, list[Entry]]:
        """Return the segments of each language."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            found.setdefault(entry.lang, []).append(entry)
        return found

    def successor(self, entries: Sequence[Entry]) -> Manifest:
        """Return the next generation, with these segments."""
        return Manifest(self.origin, self.words, tuple(entries), self.generation + 1)


def is_index(folder: Path) -> bool:
    """Say whether a folder holds an index."""
    return (folder / MANIFEST).is_file()


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of an index.

    Raises:
        ArtifactError: If there is none, or it cannot be read.
    """
    path = folder / MANIFEST
    if not path.is_file():
        begun = " (a build was begun here; run the same isoglot index again, it continues)"
        raise ArtifactError(
            f"{folder}: no index, there is no {MANIFEST}"
            f"{begun if (folder / SEGMENTS).is_dir() else '; make one with isoglot index'}"
        )
    record = read_json(path)
    try:
        if record["format"] != _FORMAT:
            raise ArtifactError(
                f"{path}: format {record['format']!r}; this version reads {_FORMAT!r}"
            )
        return Manifest(
            Origin(**record["origin"]),
            record["words"],
            tuple(Entry(**entry) for entry in record["segments"]),
            record["generation"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path}: is no manifest of an index ({error})") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest; from now on this is the index.

    What it names is brought to disk before it, and it before anything else is done: a power cut
    must not leave a manifest without its segments, nor the old one after they were removed.

    Raises:
        ArtifactError: If it cannot be written; the old one then still counts.
    """
    record: Mapping[str, object] = {
        "format": _FORMAT,
        "generation": manifest.generation,
        "origin": asdict(manifest.origin),
        "words": manifest.words,
        "segments": [asdict(entry) for entry in manifest.entries],
    }
    sync_folder(folder / SEGMENTS)
    sync_folder(folder / DELETED)
    write_json(folder / MANIFEST, record)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to disk, where the file system can be asked to."""
    with contextlib.suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


@contextlib.contextmanager
def lock_index(folder: Path, file: str = _LOCK) -> Iterator[None]:
    """Keep other writers out; readers are not hindered.

    Args:
        folder: Of the index; made if it is not there.
        file: Name of the lock; others do not hinder each other.

    Raises:
        ArtifactError: If another process is changing the index, or the folder cannot be written.
    """
    lock = FileLock(folder / file, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = lock.acquire()
    except Timeout:
        raise ArtifactError(
            f"{folder}: another process is changing this index; wait for it to end"
        ) from None
    except OSError as error:
        raise ArtifactError(f"{folder}: cannot be written ({error.strerror or error})") from error
    with held:
        yield


def remove_unused(folder: Path, manifest: Manifest) -> None:
    """Take away what the manifest does not name; whoever has it open keeps it until he lets go.

    What cannot be removed does not count and is left for the next change.
    """
    names = {entry.name for entry in manifest.entries}
    deleted = {entry.deleted for entry in manifest.entries}
    for path in (folder / SEGMENTS).glob("*"):
        if path.name not in names:
            shutil.rmtree(path, ignore_errors=True)
    leftovers = (folder / DELETED).glob("*"), folder.glob(f".{MANIFEST}.*")
    for path in itertools.chain(*leftovers):
        if path.name not in deleted:
            with contextlib.suppress(OSError):
                path.unlink()
