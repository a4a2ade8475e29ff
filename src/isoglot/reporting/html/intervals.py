"""How sure the figures of the settings are: values and differences with bootstrap intervals."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.evaluation.settings import SETTINGS

__all__ = ["Estimate", "RunValues", "estimate", "estimate_difference", "split_values"]

Figure = tuple[str, str]
"""Setting and measure."""


class Estimate(NamedTuple):
    """A mean over pools of means over queries, and its interval."""

    value: float
    bounds: tuple[float, float]
    """Ends of the 95 % interval."""

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0: for differences."""
        return self.bounds[0] > 0 or self.bounds[1] < 0


@dataclass(frozen=True)
class _Values:
    queries: NDArray[np.int64]
    """(n,): place of the query's id in ``RunValues.query_ids``."""
    pools: NDArray[np.int64]
    """(n,): number of the pool, from the places of its two languages in ``RunValues.langs``."""
    values: NDArray[np.float64]
    """(n,)."""


@dataclass(frozen=True)
class RunValues:
    """The values of every query, by setting and measure, in an order that runs share."""

    query_ids: tuple[str, ...]
    langs: tuple[tuple[str, ...], tuple[str, ...]]
    """Languages of queries and of passages."""
    by_figure: Mapping[Figure, _Values]


def split_values(per_query: Any, measures: Iterable[str]) -> RunValues:  # noqa: ANN401
    """Split the table of ``per_query.parquet`` by setting and measure.

    Args:
        per_query: A ``pyarrow.Table``.
        measures: The measures wanted.
    """
    query_ids, queries = _codes(per_query["query_id"])
    query_langs, own = _codes(per_query["query_lang"])
    passage_langs, other = _codes(per_query["passage_lang"])
    setting_names, settings = _codes(per_query["setting"])
    measure_names, measure_codes = _codes(per_query["measure"])
    values = per_query["value"].to_numpy()
    pools = own * len(passage_langs) + other
    order = np.lexsort((queries, pools))
    by_figure = {}
    for setting, measure in itertools.product(SETTINGS, measures):
        if setting in setting_names and measure in measure_names:
            here = settings == setting_names.index(setting)
            here &= measure_codes == measure_names.index(measure)
            rows = order[here[order]]
            by_figure[setting, measure] = _Values(queries[rows], pools[rows], values[rows])
    by_figure = {figure: found for figure, found in by_figure.items() if found.values.size}
    return RunValues(query_ids, (query_langs, passage_langs), by_figure)


def estimate(run: RunValues) -> dict[Figure, Estimate]:
    """Return every figure with its interval."""
    return {figure: _estimate(found, found.values) for figure, found in run.by_figure.items()}


def estimate_difference(run: RunValues, first: RunValues) -> dict[Figure, Estimate]:
    """Return ``run - first`` with the interval of the difference, paired by query and pool.

    Figures that are not of the same queries and pools in both runs are left out.
    """
    if (run.query_ids, run.langs) != (first.query_ids, first.langs):
        return {}
    return {
        figure: _estimate(found, found.values - other.values)
        for figure, found in run.by_figure.items()
        if (other := first.by_figure.get(figure)) is not None
        and np.array_equal(found.queries, other.queries)
        and np.array_equal(found.pools, other.pools)
    }


def _estimate(found: _Values, values: NDArray[np.float64]) -> Estimate:
    from isoglot.evaluation.significance import bootstrap_interval

    pools = np.unique(found.pools, return_inverse=True)[1]
    means = np.bincount(pools, values) / np.bincount(pools)
    bounds = bootstrap_interval(values, found.queries, pools)
    return Estimate(float(means.mean()), bounds)


def _codes(column: Any) -> tuple[tuple[str, ...], NDArray[np.int64]]:  # noqa: ANN401
    """Return the words of a column, sorted, and the place of each row's word among them."""
    column = column.combine_chunks()
    if not hasattr(column, "dictionary"):
        column = column.dictionary_encode()
    words, places = np.unique(
        np.array(column.dictionary.to_pylist(), dtype=np.str_), return_inverse=True
    )
    return tuple(words.tolist()), places[column.indices.to_numpy()].astype(np.int64)
