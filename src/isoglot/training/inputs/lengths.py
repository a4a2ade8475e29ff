"""Which texts of a batch are encoded together: those of like length, so that little is padding.

The rows of the batch are what the plan says; only the order in which they are encoded changes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["count_parts", "split_by_length"]

IntArray = npt.NDArray[np.int64]

_CALL = 128
"""What one more call of the encoder costs, in tokens: small matrices, and launching the layers."""
_STEP = 4
"""Lengths are looked at in steps of so many tokens, or of what makes so many steps ..."""
_STEPS = 128
"""... at most; it keeps the search small."""


def count_parts(texts: int, most_texts: int | None) -> int:
    """Return how many equal parts are needed if none may have more than ``most_texts``."""
    return 1 if most_texts is None else -(-texts // most_texts)


def split_by_length(lengths: IntArray, most_parts: int) -> list[IntArray]:
    """Split the texts of a batch into parts of like length.

    The split is the best there is: it minimises the tokens computed, padding included, plus a
    constant per part, by dynamic programming over the distinct lengths.

    Args:
        lengths: (texts,) tokens of each.
        most_parts: Most parts.

    Returns:
        For each part the positions of its texts, the shortest part first.
    """
    order = np.argsort(lengths, kind="stable")
    step = max(_STEP, int(lengths.max()) // _STEPS)
    rounded = -(-lengths[order] // step) * step
    widths, counts = np.unique(rounded, return_counts=True)
    ends = np.cumsum(counts)
    return [order[start:end] for start, end in _best_cuts(widths, ends, most_parts)]


def _best_cuts(widths: IntArray, ends: IntArray, most_parts: int) -> list[tuple[int, int]]:
    """Return the cheapest cuts of the sorted texts, as (start, end).

    Args:
        widths: (distinct lengths,) ascending.
        ends: (distinct lengths,) number of texts up to each length.
        most_parts: Most parts.
    """
    starts = np.concatenate([[0], ends[:-1]])
    # cost[i, j]: the texts of lengths i to j as one part.
    cost = np.where(
        starts[:, None] < ends[None, :],
        (ends[None, :] - starts[:, None]) * widths[None, :] + float(_CALL),
        np.inf,
    )
    best = cost[0]  # [j]: lengths 0 to j in one part
    totals, choices = [best[-1]], []
    for _ in range(min(most_parts, len(widths)) - 1):
        # The last part starts at length i; those before it are already split at their best.
        with_last = best[:-1, None] + cost[1:]
        choices.append(with_last.argmin(axis=0) + 1)
        best = with_last.min(axis=0)
        totals.append(best[-1])
    cuts, last = [], len(widths) - 1
    for choice in reversed(choices[: int(np.argmin(totals))]):
        first = int(choice[last])
        cuts.append((int(starts[first]), int(ends[last])))
        last = first - 1
    cuts.append((0, int(ends[last])))
    return cuts[::-1]
