"""Is a difference more than chance? Paired tests and intervals over clusters of queries.

Every figure is the mean over pools of the mean over a pool's queries, as in ``metrics.json``.
Queries are drawn, and their differences turned round, by cluster (``resampling``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isoglot.errors import ConfigError
from isoglot.evaluation.resampling import (
    ClusterSums,
    draw_signs,
    resampled_figures,
    sum_clusters,
)
from isoglot.evaluation.uncertainty import Uncertainty, variance_over_seeds

__all__ = [
    "EXACT_CLUSTERS",
    "PERMUTATIONS",
    "RESAMPLES",
    "Design",
    "PairedResults",
    "bootstrap_interval",
    "check_resamples",
    "compare_systems",
    "default_permutations",
    "holm",
    "sign_flip_p_values",
]

EXACT_CLUSTERS = 12
"""Up to so many clusters that differ, all 2^12 = 4,096 sign patterns are gone through."""
PERMUTATIONS = 10_000
"""Random sign patterns of a test."""
RESAMPLES = 10_000
"""Samples of an interval of a difference."""
_BEYOND = 10
"""Samples that an interval needs beyond each of its ends, so that these are no outliers."""
_ROUNDING = 1e-12
"""Relative size of what is taken for rounding: ties must be ties."""


def bootstrap_interval(
    values: NDArray[np.float64],
    clusters: NDArray[np.int64],
    pools: NDArray[np.int64],
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the percentile interval of the macro-average over pools of per-query values.

    Queries are drawn by cluster, with replacement: parallel questions (one id in many languages)
    are not independent, so they come together or not at all. Source: the bootstrap of Efron (1979),
    with clusters as units.

    Args:
        values: (n,): value of a query in a pool.
        clusters: (n,): number of the query's cluster; equal numbers belong together.
        pools: (n,): number of the pool.
        level: Share of the resamples within the interval, above 0 and below 1.
        resamples: Samples drawn, 1 or more.
        seed: Seed of the samples.

    Raises:
        ValueError: If there are no values, the lengths differ, or an option is out of range.
    """
    if not (len(values) == len(clusters) == len(pools) > 0):
        raise ValueError(
            f"{len(values)} values, {len(clusters)} clusters, {len(pools)} pools; "
            "give one of each per value, and one value or more"
        )
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(f"level {level} and resamples {resamples}; use 0 < level < 1 <= resamples")
    summed = sum_clusters(np.asarray(values)[None], _from_zero(clusters), _from_zero(pools))
    members = np.ones((summed.sizes.shape[1], 1), dtype=bool)
    blocks = resampled_figures(summed, members, resamples, np.random.default_rng(seed))
    figures = np.concatenate([block[0, :, 0] for block in blocks])
    low, high = np.quantile(figures, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def sign_flip_p_values(
    shares: NDArray[np.float64], *, permutations: int = PERMUTATIONS, seed: int = 0
) -> NDArray[np.float64]:
    """Return the two-sided p-values of paired randomisation tests.

    If two systems are alike, each cluster's difference might as well have the other sign. The
    p-value is the share of sign patterns whose figure is at least as far from 0 as the one seen:
    ``(b + 1) / (m + 1)`` for b of m random patterns, which counts the pattern seen as one of them
    and so is never 0; ``b / 2^k`` over all patterns where only k <= 12 clusters differ. Source: the
    randomisation test of Fisher, as Smucker et al. (CIKM 2007) recommend it for retrieval; the
    added 1 is that of Phipson and Smyth (2010).

    Args:
        shares: (clusters, tests): what each cluster adds to the difference; the sum is the
            difference.
        permutations: Random sign patterns, the same for all tests.
        seed: Seed of the patterns.

    Returns:
        (tests,).
    """
    differ = shares != 0
    few = differ.sum(axis=0) <= EXACT_CLUSTERS
    p_values = np.empty(shares.shape[1])
    for test in np.flatnonzero(few):
        p_values[test] = _exact_p_value(shares[differ[:, test], test])
    if not few.all():
        many = shares[:, ~few]
        seen = _at_least(many)
        hits = np.zeros(many.shape[1], dtype=np.int64)
        rng = np.random.default_rng(seed)
        for signs in draw_signs(len(shares), permutations, rng, width=many.shape[1]):
            hits += (np.abs(signs @ many) >= seen).sum(axis=0)
        p_values[~few] = (hits + 1) / (permutations + 1)
    return p_values


def _exact_p_value(shares: NDArray[np.float64]) -> float:
    """Go through all sign patterns of a few clusters."""
    figures = np.zeros(1)
    for share in shares:
        figures = np.concatenate([figures + share, figures - share])
    return float((np.abs(figures) >= _at_least(shares)).mean())


def _at_least(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how large a figure must be to count, a rounding error below the one seen."""
    seen: NDArray[np.float64] = np.abs(shares.sum(axis=0))
    rounding: NDArray[np.float64] = _ROUNDING * np.abs(shares).sum(axis=0)
    return seen - rounding


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correct p-values for their number, so that alpha holds for all of them together.

    The i-th smallest of n (from 1) is multiplied by n - i + 1; none may be smaller than one before
    it, and none is above 1. It needs no independence. Source: Holm (1979).

    Args:
        p_values: Of any shape, all one family.
    """
    flat = p_values.ravel()
    order = np.argsort(flat)
    stepped = flat[order] * np.arange(flat.size, 0, -1)
    corrected = np.empty_like(flat)
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return corrected.reshape(p_values.shape)


def default_permutations(tests: int, alpha: float) -> int:
    """Return how many sign patterns to draw: 10,000, or more where a large family needs them.

    The smallest p-value, 1 / (m + 1), times the number of tests is then a tenth of alpha or less.
    """
    return max(PERMUTATIONS, math.ceil(10 * tests / alpha))


def check_resamples(resamples: int, alpha: float) -> None:
    """Refuse intervals whose ends a handful of samples would decide.

    Raises:
        ConfigError: If there are fewer than 20 / alpha samples, 10 beyond each end.
    """
    needed = math.ceil(2 * _BEYOND / alpha - _ROUNDING)
    if resamples < needed:
        raise ConfigError(
            f"{resamples:,} resamples are too few for intervals at alpha {alpha:g}; "
            f"use {needed:,} or more"
        )


@dataclass(frozen=True)
class Design:
    """Which values belong together; the same in every run."""

    clusters: NDArray[np.int64]
    """(n,): number of the cluster, from 0 without gaps."""
    pools: NDArray[np.int64]
    """(n,): number of the pool, from 0 without gaps."""
    members: NDArray[np.bool_]
    """(pools, figures): the pools that a figure averages."""
    families: NDArray[np.int64]
    """(figures,): number of the family whose p-values are corrected together."""


@dataclass(frozen=True)
class PairedResults:
    """Figures of systems, and what the tests of pairs of them found."""

    figures: NDArray[np.float64]
    """(systems, figures): mean over the system's seeds."""
    deviations: NDArray[np.float64]
    """(systems, figures): sample standard deviation over seeds, NaN for one seed."""
    differences: NDArray[np.float64]
    """(pairs, figures): system minus baseline."""
    intervals: NDArray[np.float64]
    """(2, pairs, figures): ends of the interval of the difference over queries."""
    seed_intervals: NDArray[np.float64]
    """(2, pairs, figures): the interval over queries and seeds, NaN unless both have two seeds."""
    p_values: NDArray[np.float64]
    """(pairs, figures), not corrected: over queries; if both have two seeds, the larger of that and
    the p-value over queries and seeds."""
    corrected: NDArray[np.float64]
    """(pairs, figures): corrected by Holm over all pairs and the figures of a family."""


def compare_systems(
    values: NDArray[np.float64],
    design: Design,
    systems: Sequence[Sequence[int]],
    pairs: Sequence[tuple[int, int]],
    *,
    alpha: float = 0.05,
    permutations: int = PERMUTATIONS,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PairedResults:
    """Test the differences between systems, each of one trained model or of several (seeds).

    The value of a system for a query is the mean over its seeds. The permutation test asks whether
    other queries would show the same of these models. Where both systems have two seeds or more,
    ``Uncertainty`` asks whether models trained again would, too, and p is the larger of both, so
    that the correction is for everything that decides.

    Args:
        values: (runs, n): value of a query in a pool.
        design: What the n values are.
        systems: Rows of ``values`` that are seeds of one system.
        pairs: (baseline, system), by number; the difference is system minus baseline.
        alpha: The intervals hold 1 - alpha of the resamples.
        permutations: Random sign patterns of the tests.
        resamples: Samples of the intervals.
        seed: Seed of both.

    Raises:
        ConfigError: If there are too few resamples for alpha.
    """
    check_resamples(resamples, alpha)
    summed = sum_clusters(values, design.clusters, design.pools)
    by_run = summed.shares(design.members).sum(axis=1)
    by_system = [by_run[list(rows)] for rows in systems]
    figures = np.stack([runs.mean(axis=0) for runs in by_system])
    differences = np.stack([figures[b] - figures[a] for a, b in pairs])
    samples = _resample(summed, design.members, systems, resamples, seed)
    intervals, variances = _spread_over_queries(samples, pairs, alpha)
    over_seeds = [variance_over_seeds(by_system[a], by_system[b]) for a, b in pairs]
    seed_variances, freedom = map(np.stack, zip(*over_seeds, strict=True))
    unsure = Uncertainty(seed_variances, freedom, variances)
    widths = unsure.half_widths(alpha)
    over_queries = _paired_p_values(values, design, systems, pairs, permutations, seed)
    p_values = np.fmax(over_queries, unsure.p_values(differences))
    return PairedResults(
        figures=figures,
        deviations=np.stack([_deviation(runs) for runs in by_system]),
        differences=differences,
        intervals=intervals,
        seed_intervals=np.stack([differences - widths, differences + widths]),
        p_values=p_values,
        corrected=_correct(p_values, design.families),
    )


def _paired_p_values(
    values: NDArray[np.float64],
    design: Design,
    systems: Sequence[Sequence[int]],
    pairs: Sequence[tuple[int, int]],
    permutations: int,
    seed: int,
) -> NDArray[np.float64]:
    """Return the p-values (pairs, figures) of all pairs, tested with the same sign patterns."""
    means = [values[list(rows)].mean(axis=0) for rows in systems]
    # Means over seeds in another order may differ by a rounding error; such queries are equal.
    differences = [
        np.where(np.isclose(means[a], means[b], rtol=_ROUNDING, atol=0), 0, means[b] - means[a])
        for a, b in pairs
    ]
    shares = sum_clusters(np.stack(differences), design.clusters, design.pools).shares(
        design.members
    )
    p_values = sign_flip_p_values(np.hstack(list(shares)), permutations=permutations, seed=seed)
    return p_values.reshape(len(pairs), -1)


def _correct(p_values: NDArray[np.float64], families: NDArray[np.int64]) -> NDArray[np.float64]:
    """Correct the p-values (pairs, figures) within every family of figures."""
    corrected = np.empty_like(p_values)
    for family in np.unique(families):
        own = families == family
        corrected[:, own] = holm(p_values[:, own])
    return corrected


def _resample(
    summed: ClusterSums,
    members: NDArray[np.bool_],
    systems: Sequence[Sequence[int]],
    resamples: int,
    seed: int,
) -> NDArray[np.float64]:
    """Return figures (systems, resamples, figures) of drawn queries, means over seeds."""
    sums = np.stack([summed.sums[list(rows)].mean(axis=0) for rows in systems])
    # Apart from the stream of the sign patterns, which has the same seed.
    rng = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
    blocks = resampled_figures(ClusterSums(sums, summed.sizes), members, resamples, rng)
    return np.concatenate(list(blocks), axis=1)


def _spread_over_queries(
    samples: NDArray[np.float64], pairs: Sequence[tuple[int, int]], alpha: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what 1 - alpha of the differences lie within, (2, pairs, figures), and variances."""
    ends, variances = [], []
    for a, b in pairs:
        differences = samples[b] - samples[a]
        ends.append(np.nanquantile(differences, [alpha / 2, 1 - alpha / 2], axis=0))
        variances.append(np.nanvar(differences, axis=0, ddof=1))
    return np.stack(ends, axis=1), np.stack(variances)


def _deviation(figures: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sample standard deviation over runs, NaN for one run."""
    if len(figures) < 2:
        return np.full(figures.shape[1], np.nan)
    deviation: NDArray[np.float64] = figures.std(axis=0, ddof=1)
    return deviation


def _from_zero(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Renumber codes from 0 without gaps."""
    numbers: NDArray[np.int64] = np.unique(codes, return_inverse=True)[1]
    return numbers
