"""Statistics by definition: loops over samples, sign patterns and queries."""

import itertools
from statistics import fmean


def macro_average(rows):
    """``rows``: (pool, value) pairs; the mean over pools of the mean over a pool's values."""
    by_pool = {}
    for pool, value in rows:
        by_pool.setdefault(pool, []).append(value)
    return fmean(fmean(values) for values in by_pool.values())


def sampled_averages(values, clusters, pools, samples):
    """The macro-average of every sample; a sample is a list of clusters, some more than once."""
    rows = list(zip(clusters, pools, values, strict=True))
    return [
        macro_average([(p, v) for drawn in sample for c, p, v in rows if c == drawn])
        for sample in samples
    ]


def exact_p_value(baseline, system, clusters, pools):
    """Share of the ways to swap the two systems cluster by cluster with as large a difference."""
    names = sorted(set(clusters))

    def difference(swapped):
        rows = list(zip(clusters, pools, baseline, system, strict=True))
        first = [(p, b if c in swapped else a) for c, p, a, b in rows]
        second = [(p, a if c in swapped else b) for c, p, a, b in rows]
        return macro_average(second) - macro_average(first)

    seen = abs(difference(set()))
    patterns = itertools.product([False, True], repeat=len(names))
    found = [difference({c for c, swap in zip(names, p, strict=True) if swap}) for p in patterns]
    return fmean(abs(value) >= seen - 1e-12 for value in found)


def holm(p_values):
    """Step down: reject while p * (tests left) is below alpha; the smallest such alpha for each."""
    left = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, largest = [0.0] * len(p_values), 0.0
    for step, test in enumerate(left):
        largest = max(largest, p_values[test] * (len(p_values) - step))
        corrected[test] = min(1.0, largest)
    return corrected
