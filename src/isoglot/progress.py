"""Progress bars on stderr: amount, rate and time left."""

from __future__ import annotations

import os
import sys
from typing import Any

from tqdm import tqdm

__all__ = ["is_first_process", "progress_bar"]

_FILE_INTERVAL_S = 30.0
"""Seconds between two lines where stderr is no terminal, so that logs stay short."""


def is_first_process() -> bool:
    """Say whether this is the one of several processes that speaks; known before they meet."""
    return os.environ.get("RANK", "0") == "0"


def progress_bar(
    what: str, total: int | None, unit: str, *, done: int = 0, show: bool = True
) -> tqdm[Any]:
    """Return a bar to be used as a context manager or closed by the caller.

    Args:
        what: The work, such as ``"encoding queries"``.
        total: Amount of work; None if it is not known.
        unit: What is counted; ``"B"`` for bytes.
        done: Amount that was done before.
        show: Whether to show anything.
    """
    return tqdm(
        desc=what,
        total=total,
        initial=done,
        unit=unit,
        unit_scale=unit == "B",
        mininterval=0.2 if sys.stderr.isatty() else _FILE_INTERVAL_S,
        dynamic_ncols=True,
        disable=not show or not is_first_process(),
    )
