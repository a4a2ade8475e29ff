"""Benchmarks: ``python -m benchmarks.NAME`` prints a table and, last, one JSON object."""

from __future__ import annotations

import os
import resource
from pathlib import Path

SHARED_DATA = Path(os.environ.get("ISOGLOT_SHARED", "../shared")) / "data"
"""Real data for measurement; not part of the repository."""


def peak_mib() -> int:
    """Return the peak memory of the process so far; the system counts in KiB on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
