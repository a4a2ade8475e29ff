"""The folder of a run: whose it is, whether a run may go on in it, and what is left in the end.

The folder holds ``config.yaml``, ``data.json`` and ``census.json`` first, ``checkpoints/`` while
the run lasts, then ``model/`` (a plain sentence-transformers folder), ``log.json``, ``speed.json``
and ``provenance.json``, and the completion marker last. Nothing is written before all that a run
needs has been made, so that a mistake leaves no folder in the way of the corrected command.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isoglot.artifacts import (
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
from isoglot.config.training import DEVELOPMENT
from isoglot.data.files import hash_files
from isoglot.data.mini import EMBEDDED_GROUPS, hash_mini
from isoglot.data.prepared.sources import remembered_sha256
from isoglot.errors import ArtifactError
from isoglot.training.loop.precision import resolve_precision

__all__ = ["RunFolder", "claim_run", "hash_data"]

_START = "start.json"
_MEASURED = ("_runtime", "_per_second", "_memory_mib")
"""Ends of the names of what is measured, and so never the same twice."""


@dataclass(frozen=True)
class RunFolder:
    """A folder that ``claim_run`` has found free, or left by the same run."""

    path: Path
    config: TrainConfig | AlignConfig
    data: Mapping[str, str]
    """SHA-256 of what the run reads, as ``hash_data`` gives it."""
    precision: str
    """What the run computes in, decided when it was first started."""
    continued: bool
    """Whether the folder holds a part of this run."""
    started: float
    """Reading of the monotonic clock, in seconds."""

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints are while the run lasts."""
        return self.path / "checkpoints"

    @property
    def subwords(self) -> Path:
        """Where an alignment keeps what it has learned first."""
        return self.path / "tokenizer.json"

    @property
    def model(self) -> Path:
        """Where the trained encoder is in the end."""
        return self.path / "model"

    def open(self, census: Mapping[str, Any], audit: Mapping[str, Any] | None) -> None:
        """Write what the run is of."""
        prepare_folder(self.path)
        if not self.continued:  # what another run has left is not this one's
            shutil.rmtree(self.checkpoints, ignore_errors=True)
            self.subwords.unlink(missing_ok=True)
        if audit is not None:
            write_json(self.path / "audit.json", dict(audit))
        # The config last: it is by the config that an unfinished run is known.
        write_json(self.path / "census.json", dict(census))
        write_json(self.path / "data.json", dict(self.data))
        write_json(self.path / _START, {"precision": self.precision})
        write_yaml(self.path / "config.yaml", self.config.model_dump(mode="json"))

    def close(
        self,
        log: Sequence[Mapping[str, float]],
        selection: Mapping[str, Any],
        speed: Mapping[str, float],
    ) -> None:
        """Write logs, provenance and completion marker, and drop the checkpoints.

        Args:
            log: The trainer's lines. What was measured goes to a file of its own, because all that
                ``log.json`` holds is the same whenever the run is repeated or interrupted.
            selection: What was selected.
            speed: Measured over the whole run.
        """
        lines = [line for line in log if "train_runtime" not in line]  # a summary of one process
        write_json(self.path / "log.json", [_part(line, measured=False) for line in lines])
        write_json(self.path / "speed.json", [_part(line, measured=True) for line in lines])
        record = provenance(seeds={"training": self.config.training.seed}, data=self.data)
        record["selection"] = dict(selection)
        record["precision"] = self.precision
        record["seconds"] = round(time.monotonic() - self.started, 1)
        record["speed"] = dict(speed)
        write_json(self.path / "provenance.json", record)
        self._keep_tracked()
        mark_complete(self.path)
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def _keep_tracked(self) -> None:
        """Move what trackers have written beside the checkpoints to where it stays."""
        for path in self.checkpoints.glob("*"):
            if not path.name.startswith("checkpoint-") and any(path.rglob("*")):
                shutil.copytree(path, self.path / "tracking" / path.name, dirs_exist_ok=True)


def claim_run(path: Path, config: TrainConfig | AlignConfig) -> RunFolder:
    """Check that a folder is free, or holds an unfinished run of the same config and data.

    Raises:
        ArtifactError: If it holds a complete run, or one of another config or of other data.
        ConfigError: If this machine cannot train in the precision.
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
        precision, continued = read_json(path / _START)["precision"], True
    else:
        precision, continued = resolve_precision(config.training.precision), False
    return RunFolder(path, config, data, precision, continued, time.monotonic())


def hash_data(config: TrainConfig | AlignConfig) -> dict[str, str]:
    """Return the SHA-256 of every file that a run reads, by data set and name within a folder.

    What is not on this machine is a data set of the hub; it is named with its revision.
    """
    hashes: dict[str, str] = {}
    distillation = config.loss.distillation
    teacher = distillation.teacher if distillation is not None else None
    if isinstance(config, TrainConfig) and (
        # A checkpoint holds the adapter alone; it means nothing on other weights.
        config.model.lora is not None
        # The encoder as it was is the teacher, of a resumed run as well.
        or (distillation is not None and teacher is None)
    ):
        hashes |= _hash_model("model", config.model.name, config.model.revision)
    if teacher is not None:
        hashes |= _hash_model("loss.distillation.teacher", teacher.name, teacher.revision)
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


def _hash_model(key: str, name: str, revision: str | None) -> dict[str, str]:
    return _hash_path(key, Path(name)) or {key: revision or "main"}


def _hash_path(name: str, path: Path) -> dict[str, str]:
    if path.is_file():
        return {name: remembered_sha256(path)}
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {f"{name}/{file}": sha256 for file, sha256 in hash_files(files, path).items()}


def _changed(record: Path, data: Mapping[str, str]) -> str | None:
    """Return the name of something that is not as it was recorded, as a config names it."""
    stored = read_json(record) if record.is_file() else data
    names = sorted(name for name in {*stored, *data} if stored.get(name) != data.get(name))
    if not names:
        return None
    whole = names[0].startswith((DEVELOPMENT, "audit.", "model", "loss."))
    return names[0] if whole else f"data.{names[0]}"


def _part(line: Mapping[str, float], *, measured: bool) -> dict[str, float]:
    """Return what a line of the log says was measured, or else what was computed, by step."""
    # In one order, because a resumed trainer has its earlier lines in another.
    items = sorted(line.items())
    return {k: v for k, v in items if k == "step" or k.endswith(_MEASURED) == measured}
