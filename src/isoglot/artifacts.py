"""Output folders: resolved config, provenance, outputs, and a completion marker written last.

A file is written under a temporary name and renamed, so a reader sees the old file, the new file
or none. A folder without ``COMPLETE`` is unfinished and is not read as a result.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any

import yaml

from isoglot import __version__
from isoglot.errors import ArtifactError

__all__ = [
    "COMPLETE",
    "PROVENANCE",
    "atomic_write",
    "file_sha256",
    "is_complete",
    "mark_complete",
    "prepare_folder",
    "provenance",
    "read_json",
    "read_yaml",
    "refuse_complete",
    "refuse_other_results",
    "write_json",
    "write_text",
    "write_yaml",
]

COMPLETE = "COMPLETE"
PROVENANCE = "provenance.json"
_PACKAGES = ("numpy", "torch", "sentence-transformers", "transformers", "ir_measures")


@contextlib.contextmanager
def atomic_write(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary neighbour of ``path`` and rename it into place when the block succeeds.

    Raises:
        ArtifactError: If the folder cannot be written or the disk is full; ``path`` is then as it
            was before.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        encoding = None if "b" in mode else "utf-8"
        with tempfile.NamedTemporaryFile(
            mode, dir=path.parent, prefix=f".{path.name}.", encoding=encoding, delete=False
        ) as file:
            temporary = Path(file.name)
            yield file
            file.flush()
            os.fsync(file.fileno())
        _share_like_umask(temporary)
        temporary.replace(path)
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _share_like_umask(path: Path) -> None:
    """Give a temporary file, created private, the permissions an ordinary new file would have."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_write(path) as file:
        file.write(text)


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Write JSON atomically; NaN and infinity are refused because JSON has no word for them."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_yaml(path: Path, value: Mapping[str, Any]) -> None:
    """Write YAML atomically, keys in their given order."""
    write_text(path, yaml.safe_dump(dict(value), sort_keys=False, allow_unicode=True))


def read_json(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """Read a JSON file.

    Raises:
        ArtifactError: If it is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path}: cannot be read as JSON ({error})") from error


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping that ``write_yaml`` wrote.

    Raises:
        ArtifactError: If it is missing or is no YAML mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: no such file") from error
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ArtifactError(f"{path}: cannot be read as YAML ({error})") from error
    if not isinstance(values, dict):
        raise ArtifactError(f"{path}: expected a mapping of keys, got {type(values).__name__}")
    return values


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, read in blocks."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_complete(folder: Path) -> bool:
    """Say whether the folder carries the completion marker."""
    return (folder / COMPLETE).is_file()


def mark_complete(folder: Path) -> None:
    """Write the completion marker; call it after every other output."""
    write_text(folder / COMPLETE, datetime.now(timezone.utc).isoformat() + "\n")


def refuse_complete(folder: Path, advice: str = "add --overwrite") -> None:
    """Raise if the folder holds a complete result; to be called before anything is loaded.

    Args:
        folder: An output folder, existing or not.
        advice: What the user can do besides choosing another folder.

    Raises:
        ArtifactError: If it carries the completion marker.
    """
    if is_complete(folder):
        raise ArtifactError(
            f"{folder}: already holds a complete result; choose another --output or {advice}"
        )


def refuse_other_results(folder: Path, record: str, *, overwrite: bool) -> None:
    """Refuse a folder that holds other results; to be called before anything is computed.

    Args:
        folder: An output folder, existing or not.
        record: The file by which results of this kind are known.
        overwrite: Whether complete results of this kind may be replaced.

    Raises:
        ArtifactError: If it does, or holds complete results and ``overwrite`` is false.
    """
    if (folder / PROVENANCE).is_file() and not (folder / record).is_file():
        raise ArtifactError(
            f"{folder}: holds other results, which would be mixed up; choose another --output"
        )
    if not overwrite:
        refuse_complete(folder)


def prepare_folder(folder: Path, *, overwrite: bool = False) -> Path:
    """Make an output folder ready for writing and take its completion marker away.

    Raises:
        ArtifactError: If it is a file, cannot be created, or already holds a complete result and
            ``overwrite`` is false.
    """
    if not overwrite:
        refuse_complete(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / COMPLETE).unlink(missing_ok=True)
    except OSError as error:
        raise ArtifactError(
            f"{folder}: cannot be used as an output folder ({error.strerror or error})"
        ) from error
    return folder


def provenance(
    *, seeds: Mapping[str, int] | None = None, data: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Describe what produced a result: versions, machine, seeds and data hashes.

    Args:
        seeds: Named seeds.
        data: SHA-256 by file name.
    """
    versions = {"python": platform.python_version(), "isoglot": __version__}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return {
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "versions": versions,
        "machine": {"platform": platform.platform(), "cores": os.cpu_count()},
        "seeds": dict(seeds or {}),
        "data_sha256": dict(data or {}),
    }
