"""Values of several runs brought together, query by query and pool by pool.

What was not measured alike is refused, or left out where the user asks for what is common.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from isoglot.errors import DataError
from isoglot.evaluation.settings import SETTINGS
from isoglot.languages import ALL_LANGUAGES
from isoglot.pipeline.compared_runs import (
    KEYS,
    VALUE,
    ComparedRun,
    check_benchmarks,
    check_depths,
    choose_settings,
    condition_notes,
    keep_known_settings,
    read_run,
)
from isoglot.reporting.tables import RANK_DISTANCE

__all__ = ["AlignedValues", "PoolOfMeasure", "align_runs"]


class PoolOfMeasure(NamedTuple):
    """A pool, and the measure that its values are of."""

    measure: str
    setting: str
    query_lang: str
    passage_lang: str


@dataclass(frozen=True)
class AlignedValues:
    """Values of all runs for the same queries in the same pools."""

    values: NDArray[np.float64]
    """(runs, n)."""
    pools: NDArray[np.int64]
    """(n,): row of ``pool_names``, ascending."""
    pool_names: tuple[PoolOfMeasure, ...]
    """By measure, setting, query language and passage language."""
    same_pools: NDArray[np.int64]
    """(pools,): the row of ``pool_names`` with the same queries and passages; mostly its own."""
    query_ids: NDArray[np.int64]
    """(n,): number of the query id, from 0 without gaps."""
    benchmark: str | None
    """None where only per-query files were given."""
    notes: tuple[str, ...]
    """What was left out, and what could not be checked."""


def align_runs(
    paths: Sequence[Path], measure: str, settings: Sequence[str] = (), *, common: bool = False
) -> AlignedValues:
    """Read the values of several runs and check that they were measured alike.

    Rank distance comes with the measure where every run has the ranks of its relevant passages.

    Args:
        paths: Folders of evaluations, or files like their ``per_query.parquet``.
        measure: As ir_measures writes it.
        settings: Which of the three; default: those that every run has.
        common: Keep the queries and pools that all runs share, instead of refusing.

    Raises:
        ConfigError: If a setting is unknown or is not in every run, or runs differ in depth.
        DataError: If a run does not have the measure, or runs were not measured alike.
        ArtifactError: If an evaluation is missing, incomplete or damaged.
    """
    runs = [read_run(path, measure) for path in paths]
    check_benchmarks(runs)
    check_depths(runs)
    runs, unknown = keep_known_settings(runs, settings)
    runs, unlike = choose_settings(runs, settings)
    grid, dropped = _shared(runs, _grid(runs, measure), common=common)
    grid, differing = _equal_pools(runs, grid, common=common)
    pools, numbers = np.unique(grid.pool_codes, return_inverse=True)
    pool_names = tuple(grid.pool_name(pool) for pool in pools.tolist())
    return AlignedValues(
        values=grid.values,
        pools=numbers,
        pool_names=pool_names,
        same_pools=_same_pools(pool_names, runs),
        query_ids=np.unique(grid.keys[-1], return_inverse=True)[1],
        benchmark=next((run.metrics["benchmark"] for run in runs if run.metrics), None),
        notes=(*unknown, *unlike, *dropped, *differing, *condition_notes(runs)),
    )


class _Grid(NamedTuple):
    """Values of all runs by key; a key is a query in a pool."""

    values: NDArray[np.float64]
    """(runs, keys), 0 where a run does not have the key."""
    present: NDArray[np.bool_]
    """(runs, keys)."""
    keys: tuple[NDArray[np.int64], ...]
    """Per column of ``KEYS``, (keys,): number of the word."""
    words: tuple[tuple[str, ...], ...]
    """Per column of ``KEYS``: its words, in the order to show them."""

    @property
    def pool_codes(self) -> NDArray[np.int64]:
        """(keys,): one number per pool, ascending as pools are shown."""
        codes: NDArray[np.int64] = np.ravel_multi_index(self.keys[:-1], self._pool_shape)
        return codes

    @property
    def _pool_shape(self) -> tuple[int, ...]:
        return tuple(map(len, self.words[:-1]))

    def pool_name(self, code: int) -> PoolOfMeasure:
        """Return the pool of a code."""
        places = np.unravel_index(code, self._pool_shape)
        return PoolOfMeasure(*(w[int(p)] for w, p in zip(self.words, places, strict=False)))

    @property
    def queries(self) -> NDArray[np.int64]:
        """(keys,): one number per query; a question in two languages is two."""
        return self.keys[KEYS.index("query_lang")] * len(self.words[-1]) + self.keys[-1]

    def count_queries(self) -> int:
        """Return the number of queries."""
        return len(np.unique(self.queries))

    def describe_first(self) -> str:
        """Return the words of the first key."""
        words = [w[int(column[0])] for w, column in zip(self.words, self.keys, strict=True)]
        return ", ".join(f"{name} {word}" for name, word in zip(KEYS, words, strict=True))

    def select(self, kept: NDArray[np.bool_]) -> _Grid:
        """Return some of the keys."""
        keys = tuple(column[kept] for column in self.keys)
        return self._replace(values=self.values[:, kept], present=self.present[:, kept], keys=keys)


def _grid(runs: Sequence[ComparedRun], measure: str) -> _Grid:
    """Bring the values of all runs into one order: by pool, then by query id."""
    import pyarrow as pa

    with_distances = all(run.distances is not None for run in runs)
    parts = [[run.values, *([run.distances] * with_distances)] for run in runs]
    table = pa.concat_tables([part for of_run in parts for part in of_run])
    orders = {"measure": (measure, RANK_DISTANCE), "setting": SETTINGS}
    codes, words = zip(*(_encode(table[name], orders.get(name)) for name in KEYS), strict=True)
    shape = tuple(map(len, words))
    keys, cells = np.unique(np.ravel_multi_index(codes, shape), return_inverse=True)
    sizes = [sum(part.num_rows for part in of_run) for of_run in parts]
    slots = np.repeat(np.arange(len(runs)), sizes) * len(keys) + cells
    times = np.bincount(slots, minlength=len(runs) * len(keys)).reshape(len(runs), -1)
    values = np.zeros(times.size)
    values[slots] = table[VALUE].to_numpy()
    grid = _Grid(values.reshape(times.shape), times > 0, np.unravel_index(keys, shape), words)
    for run, counts in zip(runs, times, strict=True):
        if counts.max() > 1:
            key = grid.select(counts > 1).describe_first()
            raise DataError(f"{run.name}: has two values for {key}; evaluate again")
    return grid


def _encode(
    column: Any,  # noqa: ANN401 - pyarrow has no types
    order: Sequence[str] | None,
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Number the words of a column in an order, by default sorted."""
    encoded = column.combine_chunks().dictionary_encode()
    found = encoded.dictionary.to_pylist()
    words = tuple(sorted(found) if order is None else order)
    places = {word: place for place, word in enumerate(words)}
    numbers = np.array([places[word] for word in found], dtype=np.int64)
    return numbers[encoded.indices.to_numpy()], words


def _shared(runs: Sequence[ComparedRun], grid: _Grid, *, common: bool) -> tuple[_Grid, list[str]]:
    """Keep the keys that all runs have; refuse if there are others and that was not asked for."""
    kept: NDArray[np.bool_] = np.logical_and.reduce(grid.present)
    if kept.all():
        return grid, []
    odd = int(np.flatnonzero((grid.present != grid.present[0]).any(axis=1))[0])
    what = _tell_apart(runs[0].name, runs[odd].name, grid, odd)
    if not kept.any():
        raise DataError(f"{what}; evaluate on one benchmark")
    if not common:
        raise DataError(f"{what}; evaluate alike, or compare what both have with --common")
    total, left = grid.count_queries(), grid.select(kept).count_queries()
    return grid.select(kept), [f"on the {left:,} of {total:,} queries that every run has"]


def _tell_apart(first: str, second: str, grid: _Grid, odd: int) -> str:
    """Say how many queries, else how many values, only one of two runs has."""
    in_first, in_second = (set(grid.queries[grid.present[row]].tolist()) for row in (0, odd))
    if in_first != in_second:
        return (
            f"{first} and {second} were measured on different queries: "
            f"{len(in_first - in_second):,} are only in the first, {len(in_second - in_first):,} "
            f"only in the second, {len(in_first & in_second):,} in both"
        )
    alone = int((grid.present[0] != grid.present[odd]).sum())
    return (
        f"{first} and {second} were measured on the same queries in different pools: "
        f"{alone:,} values are in one of them only"
    )


def _equal_pools(
    runs: Sequence[ComparedRun], grid: _Grid, *, common: bool
) -> tuple[_Grid, list[str]]:
    """Keep the pools that hold as many passages in all runs; refuse others likewise."""
    sizes = [_pool_sizes(run.metrics) for run in runs]
    langs = grid.words[KEYS.index("passage_lang")]
    notes = []
    kept = np.ones(grid.values.shape[1], dtype=bool)
    for number, lang in enumerate(langs):
        known = {
            run.name: size[lang] for run, size in zip(runs, sizes, strict=True) if lang in size
        }
        if len(set(known.values())) < 2:
            continue
        what = f"the pool {lang!r} does not hold the same passages in every run: " + ", ".join(
            f"{size:,} in {name}" for name, size in known.items()
        )
        if not common:
            raise DataError(f"{what}; evaluate alike, or leave such pools out with --common")
        notes.append(f"left out: {what}")
        kept &= grid.keys[KEYS.index("passage_lang")] != number
    if not kept.any():
        raise DataError(f"{notes[0]}; no other is left to compare")
    return grid.select(kept), notes


def _same_pools(pools: Sequence[PoolOfMeasure], runs: Sequence[ComparedRun]) -> NDArray[np.int64]:
    """Find the pools of all languages that are of one: where all passages are in one language."""
    single = any(len(_pool_sizes(run.metrics).keys() - {ALL_LANGUAGES}) == 1 for run in runs)
    keys = [(pool.measure, pool.query_lang) if single else pool for pool in pools]
    rows: dict[tuple[str, ...], int] = {}
    return np.array([rows.setdefault(key, row) for row, key in enumerate(keys)])


def _pool_sizes(metrics: Mapping[str, Any]) -> dict[str, int]:
    """Return passages by pool, as far as they are known."""
    sizes = dict(metrics.get("pool_sizes") or {})
    return sizes | ({ALL_LANGUAGES: metrics["passages"]} if "passages" in metrics else {})
