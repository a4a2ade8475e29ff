"""What a data set is, so that its prepared folder is found again and never stale.

Files are known by their SHA-256. Large ones are hashed once: the hash is remembered with size,
time of change and inode, and taken from there while all three are the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isoglot.artifacts import file_sha256, read_json, write_json
from isoglot.config.sources import SourceConfig
from isoglot.data.download import cache_folder
from isoglot.data.hub import load_rows
from isoglot.errors import ArtifactError, DataError

__all__ = ["Identity", "identify", "refuse_changed", "remembered_sha256"]

_LARGE_BYTES = 64 << 20
_FRESH_NS = 2_000_000_000
"""A file that was changed just now may change again without another time of change."""


@dataclass(frozen=True)
class Identity:
    """What a data set was when it was looked at."""

    record: Mapping[str, Any]
    """Options and hashes: equal records, equal groups."""
    stamps: Mapping[Path, tuple[int, ...]]
    """Size, times of change in ns and inode of each of its files."""


def identify(source: SourceConfig) -> Identity:
    """Return what a data set is made of.

    Raises:
        DataError: If a file is missing.
        DownloadError: If it is on the hub and cannot be had from there.
    """
    path = Path(source.path)
    options = source.model_dump(mode="json", exclude={"path"})
    record = {**options, "label": source.label}
    if source.format == "bitext":  # whose rows without an id are named by the file
        record["file"] = path.name
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file())
    if not files and source.format == "hub":
        # The fingerprint covers the revision that was fetched and the files of it.
        dataset = load_rows(source.path, source.split, source.revision)
        return Identity({**record, "fingerprint": dataset._fingerprint}, {})
    if not files:
        raise DataError(f"{path}: no such file")
    stamps = {file: _stamp(file) for file in files}
    # In a folder the names say which rows a file holds, such as those of a split.
    names = [file.relative_to(path).as_posix() if path.is_dir() else "" for file in files]
    hashes = [remembered_sha256(file) for file in files]
    return Identity({**record, "sha256": dict(zip(names, hashes, strict=True))}, stamps)


def refuse_changed(found: Mapping[str, Identity]) -> None:
    """Refuse data sets whose files were changed since they were identified.

    Raises:
        DataError: Naming the first such file.
    """
    for identity in found.values():
        for path, stamp in identity.stamps.items():
            if not path.is_file() or _stamp(path) != stamp:
                raise DataError(f"{path}: was changed while it was read; run the command again")


def remembered_sha256(path: Path) -> str:
    """Return the SHA-256 of a file; of a large one that has not changed, from memory.

    Raises:
        DataError: If the file cannot be read.
    """
    stamp = _stamp(path)
    if stamp[0] < _LARGE_BYTES:
        return _hash(path)
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    record = cache_folder() / "hashes" / f"{name}.json"
    with contextlib.suppress(ArtifactError):
        known = read_json(record)
        if isinstance(known, dict) and known.get("stamp") == list(stamp):
            return str(known["sha256"])
    sha256 = _hash(path)
    if stamp == _stamp(path) and stamp[1] < time.time_ns() - _FRESH_NS:
        with contextlib.suppress(ArtifactError):  # it is hashed again the next time
            write_json(record, {"path": str(path.resolve()), "stamp": stamp, "sha256": sha256})
    return sha256


def _hash(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def _stamp(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns
