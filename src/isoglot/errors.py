"""The errors a user can mend, each shown as one line on stderr with exit code 2.

IsoglotError
├── ConfigError     a configuration or a command-line value
├── DataError       a file with texts, judgments or results
├── ModelError      an encoder that cannot be loaded or used
├── DownloadError   a file or model that cannot be fetched
├── ArtifactError   an output folder that cannot be read or written
└── TrainingError   a training that cannot go on

Anything else that escapes is a fault of ours: exit code 1 and a traceback with ``--debug``.
A message says what came, what is allowed and what to do; for files it starts with ``path:line:``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class IsoglotError(Exception):
    """Base of all errors that the user can mend."""


class ConfigError(IsoglotError):
    """A configuration key or value is unknown, missing or out of range."""


class DataError(IsoglotError):
    """A data file is malformed, inconsistent or incomplete."""


class ModelError(IsoglotError):
    """A model cannot be loaded, or does not do what the command needs."""


class DownloadError(IsoglotError):
    """A remote file cannot be fetched or fails its checksum."""


class ArtifactError(IsoglotError):
    """An output folder is missing, incomplete or cannot be written."""


class TrainingError(IsoglotError):
    """A training has lost its way and was stopped."""


def did_you_mean(word: str, allowed: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest allowed word, or an empty string."""
    matches = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.6)
    return f"; did you mean {matches[0]!r}?" if matches else ""
