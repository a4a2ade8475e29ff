"""The manifest of a folder of embeddings: what made them, and the rows and hashes of every shard.

No times and no machine are in it, so that a run that was resumed leaves the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from isoglot.artifacts import file_sha256, read_json, write_json
from isoglot.errors import ArtifactError

__all__ = [
    "CORPUS",
    "MANIFEST",
    "Contents",
    "Kind",
    "LanguageShards",
    "Origin",
    "Shard",
    "find_damage",
    "read_manifest",
    "refuse_other_origin",
    "write_manifest",
]

MANIFEST = "manifest.json"
CORPUS = "corpus"
"""Folder of the passages that were encoded, where they are kept beside their vectors."""
_FORMAT = "isoglot embeddings 1"

Kind = Literal["queries", "passages"]


@dataclass(frozen=True)
class Origin:
    """What made the vectors of a folder; one for all its shards."""

    model: str
    """Name of the encoder, for people."""
    identity: str
    """SHA-256 over the encoder's weights and settings."""
    dim: int
    dtype: str
    """``float32`` or ``float16``."""
    similarity: str
    """``cosine`` or ``dot``."""
    query_prompt: str
    passage_prompt: str
    shard_size: int
    """Rows of every shard but the last of a language."""
    precision: str = "float32"
    """In which the encoder computed; ``mixed`` where that was allowed. Manifests that do not say
    are of encoders in their own precision, nearly always this one."""


@dataclass(frozen=True)
class Shard:
    """One file of vectors and the file of their ids."""

    file: str
    """Of the vectors, relative to the folder; that of the ids ends in ``.ids.txt``."""
    rows: int
    bytes: int
    sha256: str
    ids_bytes: int
    ids_sha256: str
    inputs: str
    """SHA-256 over the ids and texts that were encoded."""

    @property
    def ids_file(self) -> str:
        """File of the ids, relative to the folder."""
        return self.file.removesuffix(".npy") + ".ids.txt"


@dataclass
class LanguageShards:
    """The shards of one language, and whether they are all."""

    complete: bool
    shards: list[Shard]


Contents = dict[Kind, dict[str, LanguageShards]]


def read_manifest(folder: Path) -> tuple[Origin, Contents]:
    """Return what a folder's manifest says.

    Raises:
        ArtifactError: If it is missing or cannot be read.
    """
    path = folder / MANIFEST
    record = read_json(path)
    try:
        if record["format"] != _FORMAT:
            raise ArtifactError(
                f"{path}: format {record['format']!r}; this version reads {_FORMAT!r}"
            )
        kinds: tuple[Kind, ...] = ("queries", "passages")
        contents: Contents = {
            kind: {
                lang: LanguageShards(
                    found["complete"], [Shard(**shard) for shard in found["shards"]]
                )
                for lang, found in record[kind].items()
            }
            for kind in kinds
        }
        return Origin(**record["origin"]), contents
    except (KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path}: is no manifest of embeddings ({error})") from error


def write_manifest(folder: Path, origin: Origin, contents: Contents) -> None:
    """Write the manifest of a folder.

    Raises:
        ArtifactError: If it cannot be written.
    """
    kinds: Mapping[str, object] = {
        kind: {lang: asdict(found) for lang, found in sorted(langs.items())}
        for kind, langs in contents.items()
    }
    write_json(folder / MANIFEST, {"format": _FORMAT, "origin": asdict(origin), **kinds})


def refuse_other_origin(folder: Path, found: Origin, wanted: Origin) -> None:
    """Refuse to mix vectors; only the model's name may differ, for it says nothing of them.

    Raises:
        ArtifactError: If anything else differs.
    """
    for field in fields(Origin):
        here, now = getattr(found, field.name), getattr(wanted, field.name)
        if field.name == "identity":
            here, now = f"{found.model} ({here[:12]})", f"{wanted.model} ({now[:12]})"
        if field.name != "model" and getattr(found, field.name) != getattr(wanted, field.name):
            what = "model" if field.name == "identity" else field.name
            more = ", or allow mix_precisions" if field.name == "precision" else ""
            raise ArtifactError(
                f"{folder}: holds embeddings of {what} {here!r}, not {now!r}; choose another "
                f"folder, or delete this one{more}"
            )


def find_damage(folder: Path, shard: Shard, verify: bool) -> str | None:
    """Say what is wrong with the files of a shard, or None."""
    for file, size, sha256 in (
        (shard.file, shard.bytes, shard.sha256),
        (shard.ids_file, shard.ids_bytes, shard.ids_sha256),
    ):
        path = folder / file
        if not path.is_file():
            return f"{path.name} is missing"
        if path.stat().st_size != size:
            return f"{path.name} has {path.stat().st_size} bytes, the manifest says {size}"
        if verify and file_sha256(path) != sha256:
            return f"{path.name} has another SHA-256 than the manifest says"
    return None
