"""Checkpoints: sealed with checksums when they are whole, looked at before they are used.

A checkpoint is a folder ``checkpoint-STEP`` that the trainer fills; ``checksums.json`` comes last.
One that was cut short, or whose bytes have changed, is passed over for the one before.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from isoglot.artifacts import file_sha256, read_json, write_json
from isoglot.errors import ArtifactError

__all__ = ["checkpoint_of", "find_damage", "last_intact", "remove_newer", "remove_old", "seal"]

_CHECKSUMS = "checksums.json"
_PREFIX = "checkpoint-"
_KEPT = 2
"""Newest checkpoints that are kept, besides the best: one can be damaged without harm."""


def checkpoint_of(folder: Path, step: int) -> Path:
    """Return the folder of the checkpoint of a step."""
    return folder / f"{_PREFIX}{step}"


def seal(checkpoint: Path) -> None:
    """Write the checksums of a checkpoint; to be called when all else is there.

    Raises:
        ArtifactError: If they cannot be written.
    """
    sums = {
        str(path.relative_to(checkpoint)): file_sha256(path)
        for path in sorted(checkpoint.rglob("*"))
        if path.is_file() and path.name != _CHECKSUMS
    }
    write_json(checkpoint / _CHECKSUMS, sums)


def find_damage(checkpoint: Path) -> str | None:
    """Return what is wrong with a checkpoint, or None if it is as it was sealed."""
    if not (checkpoint / _CHECKSUMS).is_file():
        return "it was not written to its end"
    try:
        sums = read_json(checkpoint / _CHECKSUMS)
        for name, sha256 in sums.items():
            path = checkpoint / name
            if not path.is_file():
                return f"{name} is missing"
            if file_sha256(path) != sha256:
                return f"{name} is not as it was written"
    except (ArtifactError, AttributeError, OSError):
        return f"{_CHECKSUMS} cannot be read"
    return None


def last_intact(folder: Path, report: Callable[[str], object]) -> Path | None:
    """Return the newest checkpoint that a run can go on from, or None if there is none.

    Args:
        folder: The folder of the checkpoints.
        report: Takes a line about every newer checkpoint that is passed over.
    """
    for checkpoint in reversed(_checkpoints(folder)):
        damage = find_damage(checkpoint) or _damage_of_best(checkpoint)
        if damage is None:
            return checkpoint
        report(f"{checkpoint}: not used, because {damage}")
    return None


def remove_newer(folder: Path, last: Path | None) -> None:
    """Remove what is newer than the checkpoint a run goes on from, or all if it starts anew.

    What was passed over must not count among the newest, or an intact one would go for it.
    """
    for checkpoint in _checkpoints(folder):
        if last is None or (_step(checkpoint) or 0) > (_step(last) or 0):
            shutil.rmtree(checkpoint, ignore_errors=True)


def remove_old(folder: Path, best: int | None) -> None:
    """Remove checkpoints but the newest ones and the best, of now and of when they were written."""
    checkpoints = _checkpoints(folder)
    bests = {best, *(_best_of(checkpoint) for checkpoint in checkpoints[-_KEPT:])}
    for checkpoint in checkpoints[:-_KEPT]:
        if _step(checkpoint) not in bests:
            shutil.rmtree(checkpoint, ignore_errors=True)


def _damage_of_best(checkpoint: Path) -> str | None:
    """Return what is wrong with the checkpoint that was the best when this one was written."""
    step = _best_of(checkpoint)
    if step is None:
        return None
    best = checkpoint_of(checkpoint.parent, step)
    damage = find_damage(best) if best != checkpoint else None
    return f"the best one before it, {best.name}, is damaged: {damage}" if damage else None


def _best_of(checkpoint: Path) -> int | None:
    """Return the step that was the best when a checkpoint was written, where it is known."""
    with contextlib.suppress(ArtifactError):
        state: dict[str, Any] = read_json(checkpoint / "trainer_state.json")
        return state.get("best_global_step") or None
    return None


def _checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a folder, the oldest first."""
    found = [path for path in folder.glob(f"{_PREFIX}*") if _step(path) is not None]
    return sorted(found, key=lambda path: _step(path) or 0)


def _step(checkpoint: Path) -> int | None:
    digits = checkpoint.name.removeprefix(_PREFIX)
    return int(digits) if digits.isdigit() else None
