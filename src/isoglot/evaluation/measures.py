"""Measures from the ranks of the relevant passages in one pool. No scores, no settings.

Names are ir_measures' (``AP``, ``nDCG@10``, ``R@100``) and so are the values: binary measures count
a judgment above 0 as relevant, nDCG is trec_eval's ``ndcg_cut`` (gain = relevance, discount =
log2(rank + 1), ideal over all relevant passages of the pool). All lie in 0..1, higher is better.
Ties are trec_eval's too, for every measure; ir_measures itself turns to another provider for
``RR@k``, which breaks ties the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.errors import ConfigError

__all__ = [
    "DEFAULT_MEASURES",
    "Measure",
    "RankedRelevants",
    "compute",
    "parse_measure",
    "parse_measures",
]

DEFAULT_MEASURES = ("AP", "R@1", "R@10", "R@100", "nDCG@10", "RR@10")

_ALIASES = {"mAP": "AP", "MAP": "AP", "MRR": "RR"}
_NEED_CUTOFF = ("R", "P", "Success")


class Measure(NamedTuple):
    """A name and, if the measure looks at the first ranks only, how many."""

    name: str
    cutoff: int | None = None

    def __str__(self) -> str:
        return self.name if self.cutoff is None else f"{self.name}@{self.cutoff}"


@dataclass(frozen=True)
class RankedRelevants:
    """The relevant passages of some queries in one pool, best rank first.

    Every query has at least one. Rows with fewer than the longest end in rank infinity, gain 0: in
    every formula below such a passage adds nothing.
    """

    ranks: NDArray[np.float64]
    """(queries, most relevant): 1 is the best."""
    gains: NDArray[np.float64]
    """(queries, most relevant): judged relevance."""
    sizes: NDArray[np.int64]
    """(queries,): how many relevant passages there are."""

    @classmethod
    def from_pairs(
        cls, sizes: NDArray[np.int64], ranks: NDArray[np.float64], gains: NDArray[np.float64]
    ) -> RankedRelevants:
        """Build from pairs ordered by query, ``sizes[i]`` (at least 1) for query i.

        Infinity is the rank of a passage that was not found.
        """
        rows = np.repeat(np.arange(len(sizes)), sizes)
        by_rank = np.lexsort((ranks, rows))
        columns = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        padded_ranks = np.full((len(sizes), sizes.max()), np.inf)
        padded_gains = np.zeros_like(padded_ranks)
        padded_ranks[rows, columns] = ranks[by_rank]
        padded_gains[rows, columns] = gains[by_rank]
        return cls(padded_ranks, padded_gains, sizes)

    def head(self, cutoff: int) -> RankedRelevants:
        """Move everything after the first ``cutoff`` ranks out of sight."""
        return replace(self, ranks=np.where(self.ranks <= cutoff, self.ranks, np.inf))


def parse_measure(text: str) -> Measure:
    """Read a measure as ir_measures writes it; ``mAP`` and ``MRR`` are taken for ``AP`` and ``RR``.

    Raises:
        ConfigError: If the name is unknown, or its cutoff is missing or not positive.

    >>> str(parse_measure("MRR@10"))
    'RR@10'
    """
    match = re.fullmatch(r"([A-Za-z]+)(?:@(\d+))?", text)
    name = _ALIASES.get(match[1], match[1]) if match else ""
    if match is None or name not in _FORMULAS:
        raise ConfigError(
            f"unknown measure {text!r}; use {', '.join(_FORMULAS)}, with a cutoff as in nDCG@10"
        )
    cutoff = int(match[2]) if match[2] else None
    if cutoff == 0 or (cutoff is None and name in _NEED_CUTOFF):
        raise ConfigError(f"measure {text!r} needs a cutoff of 1 or more; write {name}@10")
    return Measure(name, cutoff)


def parse_measures(texts: Iterable[str]) -> tuple[Measure, ...]:
    """Read several measures, each once.

    Raises:
        ConfigError: If there is none, or one is wrong.
    """
    measures = tuple(dict.fromkeys(map(parse_measure, texts)))
    if not measures:
        raise ConfigError(f"no measures given; name one or more, such as {DEFAULT_MEASURES[0]}")
    return measures


def compute(measure: Measure, relevants: RankedRelevants) -> NDArray[np.float64]:
    """Return the value for every query: (queries,)."""
    visible = relevants if measure.cutoff is None else relevants.head(measure.cutoff)
    return _FORMULAS[measure.name](visible, measure.cutoff)


def _average_precision(relevants: RankedRelevants, _: int | None) -> NDArray[np.float64]:
    """Mean over all relevant passages of the precision at their ranks; unseen ones count 0."""
    seen_so_far = np.arange(1, relevants.ranks.shape[1] + 1)
    precisions: NDArray[np.float64] = (seen_so_far / relevants.ranks).sum(axis=1)
    return precisions / relevants.sizes


def _recall(relevants: RankedRelevants, _: int | None) -> NDArray[np.float64]:
    """Share of the relevant passages that are seen."""
    return _seen(relevants) / relevants.sizes


def _precision(relevants: RankedRelevants, cutoff: int | None) -> NDArray[np.float64]:
    """Share of the first ranks that hold a relevant passage, even if the pool is smaller."""
    if cutoff is None:
        raise ValueError("precision needs a cutoff")
    return _seen(relevants) / cutoff


def _success(relevants: RankedRelevants, _: int | None) -> NDArray[np.float64]:
    """1 if any relevant passage is seen, else 0."""
    return (_seen(relevants) > 0).astype(np.float64)


def _reciprocal_rank(relevants: RankedRelevants, _: int | None) -> NDArray[np.float64]:
    """1 / rank of the first relevant passage, 0 if none is seen."""
    reciprocal: NDArray[np.float64] = 1 / relevants.ranks[:, 0]
    return reciprocal


def _ndcg(relevants: RankedRelevants, cutoff: int | None) -> NDArray[np.float64]:
    """Discounted gain of what is seen, divided by that of the best possible ranking."""
    gained: NDArray[np.float64] = (relevants.gains / np.log2(relevants.ranks + 1)).sum(axis=1)
    best_gains = -np.sort(-relevants.gains, axis=1)[:, :cutoff]
    discounts = np.log2(np.arange(2, best_gains.shape[1] + 2))
    ideal: NDArray[np.float64] = (best_gains / discounts).sum(axis=1)
    return gained / ideal


def _seen(relevants: RankedRelevants) -> NDArray[np.float64]:
    seen: NDArray[np.float64] = np.isfinite(relevants.ranks).sum(axis=1, dtype=np.float64)
    return seen


_FORMULAS: dict[str, Callable[[RankedRelevants, int | None], NDArray[np.float64]]] = {
    "AP": _average_precision,
    "R": _recall,
    "nDCG": _ndcg,
    "RR": _reciprocal_rank,
    "P": _precision,
    "Success": _success,
}
