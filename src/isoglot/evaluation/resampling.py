"""Draws of whole clusters of queries: with replacement for intervals, with signs for tests.

A cluster holds the queries that depend on one another: the same question in many languages. A
figure is the mean over pools of the mean over the queries of a pool, so every draw is a matrix
product of (draws x clusters) with (clusters x pools).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ClusterSums", "draw_counts", "draw_signs", "resampled_figures", "sum_clusters"]

_BLOCK_BYTES = 1 << 25
"""Memory of one block of draws."""


@dataclass(frozen=True)
class ClusterSums:
    """Values summed within every cluster and pool; all that resampling needs."""

    sums: NDArray[np.float64]
    """(runs, clusters, pools): sum of the values."""
    sizes: NDArray[np.float64]
    """(clusters, pools): number of values, the same in every run."""

    @property
    def pool_means(self) -> NDArray[np.float64]:
        """(runs, pools): mean over the queries of a pool."""
        means: NDArray[np.float64] = self.sums.sum(axis=1) / self.sizes.sum(axis=0)
        return means

    def shares(self, members: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return what each cluster adds to each figure.

        Args:
            members: (pools, figures): the pools that a figure averages.

        Returns:
            (runs, clusters, figures); the sum over clusters is the figure.
        """
        by_pool = self.sums / self.sizes.sum(axis=0)
        shares: NDArray[np.float64] = by_pool @ (members / members.sum(axis=0))
        return shares


def sum_clusters(
    values: NDArray[np.float64], clusters: NDArray[np.int64], pools: NDArray[np.int64]
) -> ClusterSums:
    """Sum values within every cluster and pool.

    Args:
        values: (runs, n).
        clusters: (n,): number of the cluster, from 0 without gaps.
        pools: (n,): number of the pool, from 0 without gaps.
    """
    shape = (int(clusters.max()) + 1, int(pools.max()) + 1)
    cells = clusters * shape[1] + pools
    sizes = np.bincount(cells, minlength=shape[0] * shape[1])
    sums: NDArray[np.float64] = np.stack(
        [np.bincount(cells, weights=run, minlength=sizes.size) for run in values]
    )
    return ClusterSums(sums.reshape(len(values), *shape), sizes.reshape(shape).astype(np.float64))


def draw_counts(
    clusters: int, draws: int, rng: np.random.Generator, *, width: int = 1
) -> Iterator[NDArray[np.float64]]:
    """Yield blocks (some draws, clusters): how often a sample with replacement holds a cluster.

    Args:
        clusters: Clusters to draw from, and to draw.
        draws: Samples in all blocks together.
        rng: Source of the samples.
        width: Numbers that the caller keeps per draw; a block's memory is bounded for them too.
    """
    for size in _block_sizes(max(clusters, width), draws):
        chosen = rng.integers(0, clusters, size=(size, clusters))
        chosen += np.arange(size)[:, None] * clusters
        counts = np.bincount(chosen.ravel(), minlength=size * clusters)
        yield counts.reshape(size, clusters).astype(np.float64)


def draw_signs(
    clusters: int, draws: int, rng: np.random.Generator, *, width: int = 1
) -> Iterator[NDArray[np.float64]]:
    """Yield blocks (some draws, clusters) of +1 and -1, each with probability one half.

    The arguments are those of ``draw_counts``.
    """
    for size in _block_sizes(max(clusters, width), draws):
        signs = rng.integers(0, 2, size=(size, clusters), dtype=np.int8).astype(np.float64)
        yield 2 * signs - 1


def resampled_figures(
    values: ClusterSums, members: NDArray[np.bool_], draws: int, rng: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    """Yield blocks (runs, some draws, figures): the figures of samples of clusters.

    One sample serves all runs and figures, so that differences are paired. A pool without a query
    in a sample is left out of that sample's averages; a figure without any is NaN.

    Args:
        values: The values of all runs.
        members: (pools, figures): the pools that a figure averages.
        draws: Number of samples.
        rng: Source of the samples.
    """
    weights = members.astype(np.float64)
    for counts in draw_counts(len(values.sizes), draws, rng, width=sum(members.shape)):
        sizes = counts @ values.sizes
        filled = sizes > 0
        pools = filled @ weights
        with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN of a figure without a query
            yield np.stack(
                [(counts @ run / np.maximum(sizes, 1)) @ weights / pools for run in values.sums]
            )


def _block_sizes(width: int, draws: int) -> Iterator[int]:
    """Yield numbers of draws, of ``width`` numbers each, that add up to ``draws``."""
    block = max(1, _BLOCK_BYTES // (8 * width))
    for start in range(0, draws, block):
        yield min(block, draws - start)
