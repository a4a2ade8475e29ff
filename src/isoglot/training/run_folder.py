"""The folder of a run: whose it is, whether a run may go on in it, and what is left in the end.

Nothing is written before all that a run needs has been made, so that a mistake leaves no folder in
the way of the corrected command. ``data.json`` holds the hashes of what the run reads.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isoglot.artifacts import (
    file_sha256,
    mark_complete,
    prepare_folder,
    provenance,
    read_json,
    read_yaml,
    refuse_complete,
    write_json,
    write_yaml,
)
from isoglot.config.schema import AlignConfig, TrainConfig
from isoglot.data.files import hash_files
from isoglot.data.mini import EMBEDDED_GROUPS, hash_mini
from isoglot.errors import ArtifactError

__all__ = ["DEVELOPMENT", "RunFolder", "claim_run", "hash_data"]

DEVELOPMENT = "development.path"
"""Name of the development file among the hashes; data sets have their own."""


@dataclass(frozen=True)
class RunFolder:
    """A folder that ``claim_run`` has found free, or left by the same run."""

    path: Path
    config: TrainConfig | AlignConfig
    data: Mapping[str, str]
    """SHA-256 of what the run reads, as ``hash_data`` gives it."""
    started: float
    """Reading of the monotonic clock, in seconds."""

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints are while the run lasts."""
        return self.path / "checkpoints"

    def open(self, census: Mapping[str, Any], audit: Mapping[str, Any] | None) -> None:
        """Write what the run is of."""
        prepare_folder(self.path)
        if audit is not None:
            write_json(self.path / "audit.json", dict(audit))
        # The config last: it is by the config that an unfinished run is known.
        write_json(self.path / "census.json", dict(census))
        write_json(self.path / "data.json", dict(self.data))
        write_yaml(self.path / "config.yaml", self.config.model_dump(mode="json"))

    def close(self, selection: Mapping[str, Any]) -> None:
        """Write provenance and completion marker, and drop the checkpoints."""
        record = provenance(seeds={"training": self.config.training.seed}, data=self.data)
        record["selection"] = dict(selection)
        record["seconds"] = round(time.monotonic() - self.started, 1)
        write_json(self.path / "provenance.json", record)
        mark_complete(self.path)
        shutil.rmtree(self.checkpoints, ignore_errors=True)


def claim_run(path: Path, config: TrainConfig | AlignConfig) -> RunFolder:
    """Check that a folder is free, or holds an unfinished run of the same config and data.

    Raises:
        ArtifactError: If it holds a complete run, or one of another config or of other data.
    """
    refuse_complete(path, "delete the folder")
    data = hash_data(config)
    if (path / "config.yaml").is_file():
        advice = "choose another --output or delete the folder"
        if read_yaml(path / "config.yaml") != config.model_dump(mode="json"):
            raise ArtifactError(f"{path}: holds an unfinished run of another config; {advice}")
        if changed := _changed(path / "data.json", data):
            raise ArtifactError(
                f"{path}: {changed} has changed since the run was started; {advice}"
            )
    return RunFolder(path, config, data, time.monotonic())


def hash_data(config: TrainConfig | AlignConfig) -> dict[str, str]:
    """Return the SHA-256 of every file that a run reads, by data set and name within a folder.

    What is not on this machine is a data set of the hub; it is named with its revision.
    """
    hashes: dict[str, str] = {}
    for source in config.data:
        on_hub = {source.label: f"{source.path}@{source.revision or 'main'}"}
        hashes |= _hash_path(source.label, Path(source.path)) or on_hub
    if config.development.path == EMBEDDED_GROUPS:
        hashes[DEVELOPMENT] = hash_mini()
    elif config.development.path is not None:
        hashes |= _hash_path(DEVELOPMENT, Path(config.development.path))
    if config.leave_out_leaks:  # then the benchmarks decide what is trained on
        for audited in config.audit:
            if audited.data is not None:
                hashes |= _hash_path(f"audit.{audited.benchmark}", Path(audited.data))
    return hashes


def _hash_path(name: str, path: Path) -> dict[str, str]:
    if path.is_file():
        return {name: file_sha256(path)}
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {f"{name}/{file}": sha256 for file, sha256 in hash_files(files, path).items()}


def _changed(record: Path, data: Mapping[str, str]) -> str | None:
    """Return the name of something that is not as it was recorded, as a config names it."""
    stored = read_json(record) if record.is_file() else data
    names = sorted(name for name in {*stored, *data} if stored.get(name) != data.get(name))
    if not names:
        return None
    return names[0] if names[0].startswith((DEVELOPMENT, "audit.")) else f"data.{names[0]}"
