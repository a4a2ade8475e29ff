"""Shards that are made in any order, entered in a manifest that is written in order.

A manifest lists the shards of a language from the first on, without holes. A shard that is made
before one in front of it is kept in ``early.json`` beside the manifest until its turn comes, so
that a killed driver loses no shard it was told of. The file goes when the last of them is entered.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from isoglot.artifacts import read_json, write_json
from isoglot.encoding.manifest import MANIFEST, Origin, Shard, find_damage
from isoglot.encoding.shards import ShardWriter, open_shards
from isoglot.errors import ArtifactError

__all__ = ["ShardLedger"]

_EARLY = "early.json"


class ShardLedger:
    """The shards of passages in a folder: which are there, and those that come."""

    def __init__(
        self, folder: Path, origin: Origin, *, verify: bool = False, mix_precisions: bool = False
    ) -> None:
        """Open or begin a folder.

        Args:
            folder: Holds embeddings of the same origin, or nothing of ours.
            origin: What makes the vectors.
            verify: Compare the SHA-256 of shards in the manifest, not only their sizes. Those that
                came early are always compared.
            mix_precisions: Whether vectors that an encoder gave in another precision may be there.

        Raises:
            ArtifactError: If the folder holds embeddings of another origin.
        """
        for leftover in folder.glob(f".{_EARLY}.*"):  # of a process that was killed
            leftover.unlink(missing_ok=True)
        self.shard_size = origin.shard_size
        self.begun = (folder / MANIFEST).is_file() or (folder / _EARLY).is_file()
        """Whether shards may be there."""
        self._folder = folder
        self._origin = origin
        self._open_writer = functools.partial(
            ShardWriter, folder, origin, verify=verify, mix_precisions=mix_precisions
        )
        self._writer = self._open_writer()
        self._entered: dict[str, int] = defaultdict(int)
        self._early = self._read_early()

    def state(self, lang: str, number: int, inputs: Callable[[], str]) -> str:
        """Say of a shard: ``"present"``, ``"absent"``, or why it must be made again.

        To be asked of every shard of a language in order, before the first is added.

        Args:
            lang: Language.
            number: Place among the language's shards.
            inputs: Returns `isoglot.encoding.shards.hash_inputs` of the ids and texts, which is to
                read them; asked only where a shard may be there.

        Raises:
            ArtifactError: If it was made from other passages.
        """
        if self.begun and number == self._entered[lang]:
            state = self._writer.state("passages", lang, number, inputs())
            if state != "absent":
                self._entered[lang] += 1
                return state
        early = self._early[lang].get(number)
        if early is None:
            return "absent"
        if early.inputs == inputs():
            return "present"
        del self._early[lang][number]
        return f"{Path(early.file).name} holds other passages"

    def add(self, lang: str, number: int, shard: Shard) -> None:
        """Enter a shard whose files are there, or keep it until those before it are.

        Raises:
            ArtifactError: If the files are not as the shard says, or the folder cannot be written.
        """
        if damage := find_damage(self._folder, shard, verify=False):
            raise ArtifactError(
                f"{self._folder / shard.file}: written by a worker, but {damage} where the command "
                "runs; the output must be on storage that all nodes see"
            )
        if number > self._entered[lang]:
            self._early[lang][number] = shard
            self._save_early()
            return
        self._writer.enter("passages", lang, number, shard)
        self._entered[lang] = max(self._entered[lang], number + 1)
        self._enter_early(lang)

    def finish(self, sizes: Mapping[str, int]) -> None:
        """Say that these are all shards, and check that every passage is in one.

        Args:
            sizes: Passages by language.

        Raises:
            ArtifactError: If some are missing, or the folder holds others.
        """
        for lang, size in sizes.items():
            self._enter_early(lang)
            shards, made = math.ceil(size / self.shard_size), self._entered[lang]
            if made < shards:
                raise ArtifactError(
                    f"{self._folder}: {made} of {shards} shards of passages in {lang!r} were made; "
                    "encode again, it makes the others"
                )
            self._writer.finish("passages", lang, shards)
        (self._folder / _EARLY).unlink(missing_ok=True)
        self._open_writer()  # takes away what killed workers left half-written
        self._check_counts(sizes)

    def _check_counts(self, sizes: Mapping[str, int]) -> None:
        found = open_shards(self._folder, passage_langs=sizes, query_langs=()).shards["passages"]
        for lang, size in sizes.items():
            rows = sum(shard.rows for shard in found[lang])
            if rows != size:
                raise ArtifactError(
                    f"{self._folder}: holds {rows} vectors for {size} passages in {lang!r}; delete "
                    "the folder and encode again"
                )

    def _enter_early(self, lang: str) -> None:
        """Enter what came early and whose turn it now is."""
        early = self._early[lang]
        while (shard := early.get(self._entered[lang])) is not None:
            self._writer.enter("passages", lang, self._entered[lang], shard)
            del early[self._entered[lang]]
            self._entered[lang] += 1
            if self._entered[lang] not in early:
                self._save_early()

    def _save_early(self) -> None:
        waiting = {lang: shards for lang, shards in self._early.items() if shards}
        if not waiting:
            (self._folder / _EARLY).unlink(missing_ok=True)
            return
        shards = {
            lang: {str(number): asdict(shard) for number, shard in found.items()}
            for lang, found in waiting.items()
        }
        write_json(self._folder / _EARLY, {"origin": asdict(self._origin), "passages": shards})

    def _read_early(self) -> dict[str, dict[int, Shard]]:
        """Return what an earlier driver kept; nothing if it is of another origin or no record."""
        early: dict[str, dict[int, Shard]] = defaultdict(dict)
        with contextlib.suppress(ArtifactError, KeyError, TypeError, ValueError, AttributeError):
            record = read_json(self._folder / _EARLY)
            if record["origin"] == asdict(self._origin):
                for lang, found in record["passages"].items():
                    shards = {int(number): Shard(**shard) for number, shard in found.items()}
                    early[lang] = {
                        number: shard
                        for number, shard in shards.items()
                        if find_damage(self._folder, shard, verify=True) is None
                    }
        return early
