"""Positions in a sorted array by a guide table instead of a search: a few steps for most values.

The guide of Chen and Asau (1974), "On generating random variates from an empirical distribution":
the range is cut into equal buckets, and for each it is known where the search would begin.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Lookup"]

IntArray = npt.NDArray[np.int64]


class Lookup:
    """``find`` gives what ``numpy.searchsorted(ends, values, side="right")`` gives, faster.

    Args:
        ends: (steps,) not falling, none below 0; the last is above every value looked up.
    """

    def __init__(self, ends: npt.NDArray[Any]) -> None:
        self._ends = ends
        top = float(ends[-1]) if len(ends) and ends[-1] > 0 else 1.0
        # Powers of two, by which numbers are divided exactly: a value is never in a bucket
        # that begins above it.
        buckets = 1 << max(0, 2 * len(ends) - 1).bit_length()
        width = 2.0 ** np.ceil(np.log2(top / buckets))
        self._per_width = 1.0 / width
        edges = np.arange(int(top * self._per_width) + 1) * width
        self._guide = np.searchsorted(ends, edges, side="right").astype(np.int32)

    def find(self, values: npt.NDArray[Any]) -> IntArray:
        """Return the number of ends that are not above each value: (values,)."""
        step: IntArray = self._guide.take((values * self._per_width).astype(np.int64)).astype(
            np.int64
        )
        step += self._ends.take(step) <= values
        late = np.flatnonzero(self._ends.take(step) <= values)
        if len(late):
            step[late] = np.searchsorted(self._ends, values[late], side="right")
        return step
