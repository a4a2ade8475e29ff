"""The embedded collection ``mini``: 128 parallel groups in 12 languages, in the package.

80 are to train on, 48 to evaluate. It makes demos and tests work without a network; its figures
say nothing about a model's quality beyond them.
"""

from __future__ import annotations

import importlib.resources
from typing import TYPE_CHECKING

from isoglot.artifacts import file_sha256
from isoglot.data.collection import Collection
from isoglot.data.groups import groups_to_collection, read_groups
from isoglot.errors import ConfigError
from isoglot.records import Group

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["EMBEDDED_GROUPS", "MINI_SPLITS", "hash_mini", "load_mini", "load_mini_groups"]

EMBEDDED_GROUPS = "mini"
"""What stands for the collection where a file may be named; ``./mini`` is a file of that name."""

MINI_SPLITS = ("train", "evaluation")


def load_mini_groups(split: str) -> list[Group]:
    """Return the groups of a split, ``train`` or ``evaluation``.

    Raises:
        ConfigError: If there is no such split.
    """
    if split not in MINI_SPLITS:
        raise ConfigError(f"mini has no split {split!r}; allowed: {', '.join(MINI_SPLITS)}")
    with importlib.resources.as_file(_resource()) as path:
        return list(read_groups(path, split=split))


def load_mini(split: str = "evaluation") -> Collection:
    """Return a split as a test collection."""
    groups = load_mini_groups(split)
    sources = {_resource().name: hash_mini()}
    return groups_to_collection(groups, "mini", sources=sources, options={"split": split})


def hash_mini() -> str:
    """Return the SHA-256 of the collection's file."""
    with importlib.resources.as_file(_resource()) as path:
        return file_sha256(path)


def _resource() -> Traversable:
    return importlib.resources.files("isoglot.data") / "embedded" / "groups.jsonl"
