"""How fast a run is and how much memory it takes; measured, so never part of what must be equal."""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from pathlib import Path

import torch

__all__ = ["MEASURED", "Meter", "peak_memory_mib"]

MEASURED = ("pairs_per_second", "peak_memory_mib")
"""Names of what a meter measures, in the log."""


class Meter:
    """Counts the pairs of a run and the time they take."""

    def __init__(self) -> None:
        self._begun = self._since = time.perf_counter()
        self._pairs = self._pairs_since = 0

    def add(self, pairs: int) -> None:
        """Count the rows of a batch, of all processes."""
        self._pairs += pairs
        self._pairs_since += pairs

    def line(self) -> dict[str, float]:
        """Return rate and memory since the last line, and begin a new one."""
        now = time.perf_counter()
        rate = self._pairs_since / max(now - self._since, 1e-9)
        self._since, self._pairs_since = now, 0
        return dict(zip(MEASURED, (round(rate, 1), peak_memory_mib()), strict=True))

    def total(self) -> dict[str, float]:
        """Return rate and memory of the run in this process, evaluations included."""
        rate = self._pairs / max(time.perf_counter() - self._begun, 1e-9)
        return dict(zip(MEASURED, (round(rate, 1), peak_memory_mib()), strict=True))


def peak_memory_mib() -> int:
    """Return the most memory taken so far: of the GPU if there is one, else of the process."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated() >> 20)
    with contextlib.suppress(OSError, ValueError, IndexError):
        # On Linux ``getrusage`` begins with the peak of the process that started this one.
        return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) >> 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak >> 20 if sys.platform == "darwin" else peak >> 10)
