"""What a score means for its query: how far it lies above what passages in general get.

Similarities of two queries cannot be compared: a query that is like everything gives high ones. A
random sample of the passages shows what a query gives to those that do not answer it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Background", "Moments", "read_background"]

_NO_SPREAD = 1e-6
"""What rounding leaves of a spread of 0."""


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


@dataclass(frozen=True)
class Moments:
    """What is left of sampled vectors, and gives the background of any query without scoring them.

    Scores are linear in the vectors: their mean is the query's score with the mean vector, and
    their variance ``q' C q`` with the covariance ``C``.
    """

    mean: NDArray[np.float32]
    """(dim,): of all sampled vectors."""
    covariance: NDArray[np.float32]
    """(dim, dim): mean of the languages' own, every sampled vector counting the same."""

    @classmethod
    def of(cls, samples: Sequence[NDArray[np.float32]]) -> Moments:
        """Learn from vectors of random passages.

        Args:
            samples: By language, (sampled passages, dim); one passage or more in all.
        """
        size = sum(map(len, samples))
        centred = np.concatenate([sample - sample.mean(axis=0) for sample in samples])
        return cls(
            mean=np.concatenate(samples).mean(axis=0, dtype=np.float64).astype(np.float32),
            covariance=(centred.T @ centred) / np.float32(size),
        )

    def background(self, queries: NDArray[np.float32]) -> Background:
        """Return what `read_background` gives for the scores of (queries, dim) with the sample."""
        variance = np.einsum("qd,qd->q", queries @ self.covariance, queries, dtype=np.float64)
        spread = np.sqrt(np.maximum(variance, 0))
        return Background(
            mean=(queries @ self.mean).astype(np.float64),
            spread=np.where(spread > _NO_SPREAD, spread, 1.0),
        )
