"""Measures by definition, from the gains of a whole pool in ranked order."""

import math


def measure(name, gains):
    """``name`` as ir_measures writes it; ``gains[0]`` belongs to rank 1."""
    kind, _, cutoff = name.partition("@")
    k = int(cutoff) if cutoff else len(gains)
    hits = [rank for rank, gain in enumerate(gains, 1) if gain > 0]
    seen = [rank for rank in hits if rank <= k]
    if kind == "AP":
        return sum(sum(hit <= rank for hit in seen) / rank for rank in seen) / len(hits)
    if kind == "R":
        return len(seen) / len(hits)
    if kind == "P":
        return len(seen) / k
    if kind == "Success":
        return float(bool(seen))
    if kind == "RR":
        return 1 / seen[0] if seen else 0.0
    if kind == "nDCG":
        return discounted(gains[:k]) / discounted(sorted(gains, reverse=True)[:k])
    raise ValueError(name)


def discounted(gains):
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))
