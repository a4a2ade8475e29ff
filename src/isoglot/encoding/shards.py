"""Embeddings on disk: shards with a manifest, written one by one and resumed at the first missing.

    manifest.json                 what made the vectors; rows and SHA-256 of every shard
    passages/LANG-00000.npy       (rows, dim) vectors, to be memory-mapped
    passages/LANG-00000.ids.txt   one doc id a line
    queries/LANG-00000.npy, queries/LANG-00000.ids.txt

Every file is written under a temporary name and renamed, vectors and ids before the manifest, so a
killed process loses at most the shard it was at. The manifest is in ``manifest``, encoding in
``stream``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isoglot.artifacts import atomic_write, file_sha256
from isoglot.encoding.manifest import (
    MANIFEST,
    Contents,
    Kind,
    LanguageShards,
    Origin,
    Shard,
    find_damage,
    read_manifest,
    refuse_other_origin,
    write_manifest,
)
from isoglot.errors import ArtifactError, DataError

__all__ = [
    "MANIFEST",
    "EmbeddingShards",
    "Kind",
    "Origin",
    "Shard",
    "ShardWriter",
    "hash_inputs",
    "open_shards",
    "read_origin",
    "write_shard",
]

_TEMPORARY = (
    f".{MANIFEST}.*",
    *(f"{kind}/.*.{end}.*" for kind in ("queries", "passages") for end in ("npy", "ids.txt")),
)
"""Files that a killed process may leave; see ``atomic_write``."""


@dataclass(frozen=True)
class EmbeddingShards:
    """The shards of a folder, opened for reading. Languages are sorted, rows in encoding order."""

    folder: Path
    origin: Origin
    shards: Mapping[Kind, Mapping[str, Sequence[Shard]]]
    """By kind and language."""

    def vectors(self, kind: Kind) -> Iterator[NDArray[Any]]:
        """Yield the memory-mapped (rows, dim) arrays of all languages, one per shard."""
        for _, shard in self._each(kind):
            path = self.folder / shard.file
            try:
                vectors: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError) as error:
                raise ArtifactError(f"{path}: cannot be read as .npy ({error})") from error
            if vectors.shape != (shard.rows, self.origin.dim):
                raise ArtifactError(
                    f"{path}: an array of shape {vectors.shape}, the manifest says "
                    f"({shard.rows}, {self.origin.dim}); encode again"
                )
            yield vectors

    def ids(self, kind: Kind) -> Iterator[tuple[str, list[str]]]:
        """Yield the language and the ids of every shard."""
        for lang, shard in self._each(kind):
            text = (self.folder / shard.ids_file).read_bytes().decode()
            yield lang, text.removesuffix("\n").split("\n")

    def _each(self, kind: Kind) -> Iterator[tuple[str, Shard]]:
        for lang, shards in self.shards[kind].items():
            for shard in shards:
                yield lang, shard


def open_shards(
    folder: Path,
    *,
    passage_langs: Collection[str] | None = None,
    query_langs: Collection[str] | None = None,
    verify: bool = False,
) -> EmbeddingShards:
    """Open the embedding shards of some languages; those of others are not looked at.

    Args:
        folder: Written by ``isoglot.encoding.stream``.
        passage_langs: Languages of passages; default: all. One that is not there is left out.
        query_langs: Languages of queries, likewise.
        verify: Read every file and compare its SHA-256; sizes are always compared.

    Raises:
        ArtifactError: If there is no manifest, a language is unfinished, or a file is missing or
            damaged.
    """
    origin, contents = read_manifest(folder)
    wanted: dict[Kind, Collection[str] | None] = {"queries": query_langs, "passages": passage_langs}
    shards: dict[Kind, dict[str, Sequence[Shard]]] = {"queries": {}, "passages": {}}
    for kind, langs in wanted.items():
        for lang, found in sorted(contents[kind].items()):
            if langs is None or lang in langs:
                _refuse_unusable(folder, kind, lang, found, verify)
                shards[kind][lang] = tuple(found.shards)
    return EmbeddingShards(folder, origin, shards)


def read_origin(folder: Path) -> Origin | None:
    """Return what made the embeddings of a folder; None where it has no manifest.

    No shard is looked at.

    Raises:
        ArtifactError: If the manifest cannot be read.
    """
    return read_manifest(folder)[0] if (folder / MANIFEST).is_file() else None


def _refuse_unusable(
    folder: Path, kind: Kind, lang: str, found: LanguageShards, verify: bool
) -> None:
    if not found.complete:
        raise ArtifactError(
            f"{folder}: the {kind} in {lang!r} are unfinished ({len(found.shards)} shards "
            "so far); encode again with the same model, it continues there"
        )
    for shard in found.shards:
        if damage := find_damage(folder, shard, verify):
            raise ArtifactError(
                f"{folder / shard.file}: {damage}; encode again with the same model, it makes "
                "this shard anew"
            )


def write_shard(
    folder: Path,
    kind: Kind,
    lang: str,
    number: int,
    ids: Sequence[str],
    vectors: NDArray[Any],
    inputs: str,
) -> Shard:
    """Write the files of a shard, which any process may do; `ShardWriter.enter` makes it count.

    Args:
        folder: Of the embeddings.
        kind: ``"queries"`` or ``"passages"``.
        lang: Language.
        number: Place among the language's shards.
        ids: One per row, without line breaks.
        vectors: (rows, dim).
        inputs: `hash_inputs` of the ids and texts.

    Raises:
        DataError: If an id has a line break.
        ArtifactError: If the folder cannot be written.
    """
    content = _id_lines(ids)
    file = f"{kind}/{lang}-{number:05d}.npy"
    path = folder / file
    with atomic_write(path, "wb") as target:
        np.lib.format.write_array(target, vectors, allow_pickle=False)
    ids_path = path.with_suffix(".ids.txt")
    with atomic_write(ids_path, "wb") as target:
        target.write(content)
    return Shard(
        file=file,
        rows=len(ids),
        bytes=path.stat().st_size,
        sha256=file_sha256(path),
        ids_bytes=len(content),
        ids_sha256=hashlib.sha256(content).hexdigest(),
        inputs=inputs,
    )


class ShardWriter:
    """Adds shards to a folder, new or begun before."""

    def __init__(
        self, folder: Path, origin: Origin, *, verify: bool = False, mix_precisions: bool = False
    ) -> None:
        """Open or begin a folder.

        Args:
            folder: Holds embeddings of the same origin, or nothing of ours.
            origin: What makes the vectors.
            verify: Whether ``state`` compares hashes of shards that are there, or only sizes.
            mix_precisions: Whether vectors that an encoder gave in another precision may be there.

        Raises:
            ArtifactError: If the folder holds embeddings of another origin.
        """
        self.shard_size = origin.shard_size
        self._folder = folder
        self._origin = origin
        self._verify = verify
        self._contents: Contents = {"queries": {}, "passages": {}}
        if (folder / MANIFEST).is_file():
            found, self._contents = read_manifest(folder)
            if mix_precisions and found.precision != origin.precision:
                found, self._origin = (replace(o, precision="mixed") for o in (found, origin))
            refuse_other_origin(folder, found, self._origin)
        for pattern in _TEMPORARY:  # of a process that was killed
            for leftover in folder.glob(pattern):
                leftover.unlink(missing_ok=True)

    def state(self, kind: Kind, lang: str, number: int, inputs: str) -> str:
        """Say of a shard: ``"present"``, ``"absent"``, or why it must be made again.

        Queries may be others than before, for topics change with split and translations and are
        soon encoded; passages may not.

        Args:
            kind: ``"queries"`` or ``"passages"``.
            lang: Language.
            number: Place among the language's shards.
            inputs: `hash_inputs` of the ids and texts.

        Raises:
            ArtifactError: If it was made from other passages.
        """
        shards = self._language(kind, lang).shards
        if number >= len(shards):
            return "absent"
        if shards[number].inputs != inputs:
            file = self._folder / shards[number].file
            if kind == "queries":
                return f"{file.name} holds other queries"
            raise ArtifactError(
                f"{file}: made from other passages than those given now; choose another folder, or "
                "delete this one"
            )
        return find_damage(self._folder, shards[number], self._verify) or "present"

    def write(
        self,
        kind: Kind,
        lang: str,
        number: int,
        ids: Sequence[str],
        vectors: NDArray[Any],
        inputs: str,
    ) -> None:
        """Write a shard and enter it in the manifest.

        Args:
            kind: ``"queries"`` or ``"passages"``.
            lang: Language.
            number: Place among the language's shards; those before it are there.
            ids: One per row, without line breaks.
            vectors: (rows, dim).
            inputs: `hash_inputs` of the ids and texts.

        Raises:
            DataError: If an id has a line break.
            ArtifactError: If the folder cannot be written.
        """
        self.enter(
            kind, lang, number, write_shard(self._folder, kind, lang, number, ids, vectors, inputs)
        )

    def enter(self, kind: Kind, lang: str, number: int, shard: Shard) -> None:
        """Enter a shard in the manifest whose files are there: see `write_shard`."""
        self._language(kind, lang).shards[number : number + 1] = [shard]
        self._save()

    def finish(self, kind: Kind, lang: str, shards: int) -> None:
        """Say that a language has this many shards and no more.

        Raises:
            ArtifactError: If the folder holds more of them, and they are of passages.
        """
        found = self._language(kind, lang)
        if len(found.shards) > shards and kind == "passages":
            raise ArtifactError(
                f"{self._folder}: holds {len(found.shards)} shards of passages in {lang!r}, those "
                f"given now make {shards}; choose another folder, or delete this one"
            )
        if found.complete and len(found.shards) == shards:
            return
        surplus = found.shards[shards:]
        del found.shards[shards:]
        found.complete = True
        self._save()
        for shard in surplus:
            (self._folder / shard.file).unlink(missing_ok=True)
            (self._folder / shard.ids_file).unlink(missing_ok=True)

    def _language(self, kind: Kind, lang: str) -> LanguageShards:
        return self._contents[kind].setdefault(lang, LanguageShards(False, []))

    def _save(self) -> None:
        write_manifest(self._folder, self._origin, self._contents)


def hash_inputs(ids: Sequence[str], texts: Sequence[str]) -> str:
    """Return the SHA-256 over ids and texts in their order."""
    digest = hashlib.sha256()
    for name, text in zip(ids, texts, strict=True):
        # Lengths first, so that no two lists of ids and texts give the same bytes.
        digest.update(f"{len(name)} {len(text)} {name}{text}".encode())
    return digest.hexdigest()


def _id_lines(ids: Sequence[str]) -> bytes:
    for name in ids:
        if "\n" in name:
            raise DataError(f"id {name!r} has a line break; rename it, for example with '_'")
    return "".join(f"{name}\n" for name in ids).encode()
