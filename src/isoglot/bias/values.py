"""Values of queries, and their means: over the queries of a language, then over languages.

Every language weighs the same, as in the summary of an evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LanguageTable", "QueryValues", "macro_mean", "mean_by_lang"]


@dataclass(frozen=True)
class QueryValues:
    """One value for each of some queries."""

    query_langs: NDArray[np.str_]
    """(queries,): language of the query."""
    values: NDArray[Any]
    """(queries,): numbers or booleans."""

    @property
    def by_lang(self) -> dict[str, float]:
        """Mean of the queries of each language."""
        return mean_by_lang(self.query_langs, self.values)

    @property
    def macro(self) -> float | None:
        """Mean of ``by_lang``; ``None`` without queries."""
        return macro_mean(self.by_lang)


@dataclass(frozen=True)
class LanguageTable:
    """One value for each of some queries and each passage language."""

    query_langs: NDArray[np.str_]
    """(queries,): language of the query."""
    passage_langs: tuple[str, ...]
    """The columns."""
    values: NDArray[np.float64]
    """(queries, passage languages): NaN where a query has none."""

    @property
    def by_pair(self) -> dict[str, dict[str, float]]:
        """Mean by query language and passage language, over the queries that have a value there."""
        means: dict[str, dict[str, float]] = {}
        for lang in np.unique(self.query_langs).tolist():
            values = self.values[self.query_langs == lang]
            known = ~np.isnan(values)
            sums = np.where(known, values, 0).sum(axis=0)
            means[lang] = {
                passage_lang: float(total / count)
                for passage_lang, total, count in zip(
                    self.passage_langs, sums, known.sum(axis=0), strict=True
                )
                if count
            }
        return means

    @property
    def own_and_other(self) -> tuple[QueryValues, QueryValues]:
        """Values in the query's language, and means over its other languages.

        Both of the same queries: those that have a value in their own language and in another.
        """
        known = ~np.isnan(self.values)
        own = self.query_langs[:, None] == np.array(self.passage_langs, dtype=np.str_)
        other = known & ~own
        rows = (known & own).any(axis=1) & other.any(axis=1)
        langs = self.query_langs[rows]
        values = self.values[rows]
        totals = np.where(other[rows], values, 0).sum(axis=1)
        return (
            QueryValues(langs, values[own[rows]]),
            QueryValues(langs, totals / other[rows].sum(axis=1)),
        )


def mean_by_lang(langs: NDArray[np.str_], values: NDArray[Any]) -> dict[str, float]:
    """Average the values of each language, both (queries,); languages sorted."""
    names, codes = np.unique(langs, return_inverse=True)
    means = np.bincount(codes, values, len(names)) / np.bincount(codes, minlength=len(names))
    return dict(zip(names.tolist(), means.tolist(), strict=True))


def macro_mean(by_lang: dict[str, float]) -> float | None:
    """Average over languages, each weighing the same; ``None`` without any."""
    return float(np.mean(list(by_lang.values()))) if by_lang else None
