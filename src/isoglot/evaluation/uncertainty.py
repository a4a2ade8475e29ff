"""How far the difference of two systems may be off: if trained again, and asked other queries."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Uncertainty", "variance_over_seeds"]

_SMALLEST_P = 1e-30
"""What no p-value goes below; a test over queries never gets so far."""
_HALVINGS = 50


@dataclass(frozen=True)
class Uncertainty:
    """Variances of differences of two systems, and the intervals and p-values they give.

    Each array is of one shape. The half width at alpha is ``sqrt(t^2 vs + z^2 vq)``: t and z are
    the two-sided quantiles of Student's distribution, for the variance over seeds, and of the
    normal one, for that over queries. With no variance over queries it is the test of Welch (1947);
    the more of it there is, the nearer it comes to the normal test.

    It never claims more often than its parts. With the true share a of the variance being that
    over seeds, the chance of a wrong claim is the mean of ``P(chi2_1 > a t^2 vs / true vs +
    (1 - a) z^2)``. That chance is convex in its threshold, so that the mean is at most a times that
    of the test over seeds plus 1 - a times that of the test over queries. Source: Banerjee (1961).
    Degrees of freedom that count both variances in, as Satterthwaite (1946) gives them, do not have
    this: seeds that agree by chance would make them many and the variance small at once.
    """

    seed_variances: NDArray[np.float64]
    """Of the difference of means over seeds; NaN where a system has one seed."""
    freedom: NDArray[np.float64]
    """Degrees of freedom of ``seed_variances``."""
    query_variances: NDArray[np.float64]
    """Of the difference, over resamples of the queries."""

    def half_widths(self, alpha: float | NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far the intervals of 1 - alpha reach to both sides."""
        from scipy.special import ndtri, stdtrit

        tail = np.asarray(alpha) / 2
        widths: NDArray[np.float64] = np.sqrt(
            stdtrit(self.freedom, tail) ** 2 * self.seed_variances
            + ndtri(tail) ** 2 * self.query_variances
        )
        return widths

    def p_values(self, differences: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the alpha at which the interval ends at 0: two-sided p-values, NaN for one seed.

        Args:
            differences: Of the shape of the variances.
        """
        distances = np.abs(differences)
        low = np.full(distances.shape, math.log(_SMALLEST_P))
        high = np.zeros(distances.shape)
        for _ in range(_HALVINGS):  # wider intervals belong to a smaller alpha
            middle = (low + high) / 2
            reached = distances <= self.half_widths(np.exp(middle))
            low, high = np.where(reached, middle, low), np.where(reached, high, middle)
        p_values = np.where(distances > 0, np.exp(high), 1.0)
        return np.where(np.isnan(self.seed_variances), np.nan, p_values)


def variance_over_seeds(
    baseline: NDArray[np.float64], system: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the variance of the difference of means, and its degrees of freedom, by figure.

    The variances of both systems may differ. Source: Welch (1947), Satterthwaite (1946).

    Args:
        baseline: (seeds, figures).
        system: (seeds, figures), of other seeds or of another number of them.
    """
    if min(len(baseline), len(system)) < 2:
        unknown = np.full(baseline.shape[1], np.nan)
        return unknown, np.ones_like(unknown)
    parts = [runs.var(axis=0, ddof=1) / len(runs) for runs in (baseline, system)]
    variances = parts[0] + parts[1]
    below = parts[0] ** 2 / (len(baseline) - 1) + parts[1] ** 2 / (len(system) - 1)
    # Of seeds that all agree the variance is 0, whatever the degrees of freedom.
    freedom = np.divide(variances**2, below, out=np.ones_like(below), where=below > 0)
    return variances, freedom
