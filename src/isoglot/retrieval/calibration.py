"""What a score means for its query: how far it lies above what passages in general get.

Similarities of two queries cannot be compared: a query that is like everything gives high ones. A
random sample of the passages shows what a query gives to those that do not answer it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Background", "read_background"]


@dataclass(frozen=True)
class Background:
    """How some queries score against passages in general."""

    mean: NDArray[np.float64]
    """(queries,): mean score."""
    spread: NDArray[np.float64]
    """(queries,): standard deviation of the scores within a language; above 0."""

    def standardize(self, scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return ``(score - mean) / spread``: (queries, any); minus infinity stays."""
        standard: NDArray[np.float64] = (scores - self.mean[:, None]) / self.spread[:, None]
        return standard


def read_background(samples: Sequence[NDArray[np.float32]]) -> Background:
    """Learn how queries score from random passages of each language.

    The mean is that of all sampled scores, and the variance the mean of the languages' own
    variances, every sampled passage counting the same. One mean and one spread per query, not one
    per language: with those of each language, the same cut of the same-language excess costs more
    relevant passages (``docs/policies.md``). Where no language spreads, because each has one
    passage, the spread is taken for 1.

    Args:
        samples: By language, (queries, sampled passages); one passage or more in all.
    """
    size = sum(sample.shape[1] for sample in samples)
    sums = [sample.sum(axis=1, dtype=np.float64) for sample in samples]
    squares = [sample.var(axis=1, dtype=np.float64) * sample.shape[1] for sample in samples]
    spread = np.sqrt(np.sum(squares, axis=0) / size)
    return Background(
        mean=np.sum(sums, axis=0) / size,
        spread=np.where(spread > 0, spread, 1.0),
    )
