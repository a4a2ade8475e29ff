"""The comparison of encoders and batches, published rows beside it, from ``metrics.json``.

By language it is in ``by_language``; how a table is written is in ``writers``.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from isoglot.config.experiment import UNTRAINED
from isoglot.errors import DataError
from isoglot.evaluation.evaluate import SettingRow
from isoglot.evaluation.measures import parse_measure
from isoglot.evaluation.settings import SETTINGS
from isoglot.reporting.published import published_encoder, published_languages, published_rows
from isoglot.reporting.writers import Table

__all__ = [
    "BATCHES",
    "RANK_DISTANCE",
    "UNTRAINED",
    "Comparison",
    "ComparisonRow",
    "RunResult",
    "Spread",
    "compare",
    "place_of",
    "round_figure",
]

BATCHES = (UNTRAINED, "monolingual", "cross-lingual", "hybrid")
"""The order of rows; what else there is follows by name."""
RANK_DISTANCE = "rank distance"
_MISSING = "–"


@dataclass(frozen=True)
class RunResult:
    """One trained and evaluated model."""

    encoder: str
    batches: str
    """The kind of batches, or another name for how it was trained or corrected."""
    seed: int
    benchmark: str
    metrics: Mapping[str, Any]
    """The content of ``metrics.json``."""
    settings: Sequence[SettingRow] = ()
    """The rows of ``settings.parquet``, where languages are compared."""


class Spread(NamedTuple):
    """A mean over seeds and, from two seeds on, the sample standard deviation."""

    mean: float
    deviation: float | None


@dataclass(frozen=True)
class ComparisonRow:
    """One encoder trained with one kind of batches, over its seeds; or a published row."""

    benchmark: str
    encoder: str
    batches: str
    source: str
    """Number of seeds, or the publication."""
    seeds: int
    """0 for a published row."""
    figures: Mapping[str, Spread | None]
    """By column: the three settings and ``rank distance``."""


@dataclass(frozen=True)
class Comparison:
    """The rows of a comparison in one measure."""

    measure: str
    rows: tuple[ComparisonRow, ...]

    def table(self) -> Table:
        """Return the table to read: ``mean ± standard deviation``, rounded."""
        names = ("benchmark", "encoder", "batches", "source")
        figures = tuple(f"{setting} {self.measure}" for setting in SETTINGS)
        return Table(
            (*names, *figures, RANK_DISTANCE),
            tuple(
                (
                    *(row.benchmark, row.encoder, row.batches, row.source),
                    *(_show(row.figures[setting], 4) for setting in SETTINGS),
                    _show(row.figures[RANK_DISTANCE], 1),
                )
                for row in self.rows
            ),
            text_columns=len(names),
        )

    def data(self) -> Table:
        """Return the table to compute with: means and deviations in columns of their own."""
        columns = ["benchmark", "encoder", "batches", "source", "seeds", "measure"]
        for column in (*SETTINGS, RANK_DISTANCE):
            columns += [column, f"{column} standard deviation"]
        rows = []
        for row in self.rows:
            cells = [row.benchmark, row.encoder, row.batches, row.source, str(row.seeds)]
            cells.append(self.measure)
            for figure in row.figures.values():
                cells += ["" if value is None else repr(value) for value in figure or (None, None)]
            rows.append(tuple(cells))
        return Table(tuple(columns), tuple(rows), text_columns=4)


def compare(
    results: Iterable[RunResult],
    *,
    measure: str = "AP",
    published: bool = True,
    order: Sequence[str] = BATCHES,
) -> Comparison:
    """Average results over seeds and set the published rows of their benchmarks beside them.

    Args:
        results: One per benchmark, encoder, batches and seed.
        measure: A name as ir_measures writes it.
        published: Whether to add published rows that have the measure.
        order: The order of kinds of batches; what it does not name follows by name.

    Raises:
        ConfigError: If the measure is no measure.
        DataError: If there are no results, two for the same seed, or none with the measure.
    """
    measure = str(parse_measure(measure))
    groups = _group(results)
    rows = [
        _row(key, [seeds[seed].metrics for seed in sorted(seeds)], measure)
        for key, seeds in groups.items()
    ]
    if all(row.figures[setting] is None for row in rows for setting in SETTINGS):
        raise DataError(
            f"no result holds {measure}; evaluate with measure {measure}, "
            f"or compare by one of {', '.join(_measures(groups)) or 'another result'}"
        )
    if published:
        rows += _published_beside({benchmark for benchmark, _, _ in groups}, measure)
    return Comparison(measure, tuple(sorted(rows, key=lambda row: _place(row, order))))


_Key = tuple[str, str, str]
"""Benchmark, encoder, batches."""


def _group(results: Iterable[RunResult]) -> dict[_Key, dict[int, RunResult]]:
    groups: dict[_Key, dict[int, RunResult]] = defaultdict(dict)
    for result in results:
        seeds = groups[result.benchmark, result.encoder, result.batches]
        if result.seed in seeds:
            raise DataError(
                f"two results for {result.benchmark}, {result.encoder}, {result.batches} batches, "
                f"seed {result.seed}; give each run its own seed or leave one out"
            )
        seeds[result.seed] = result
    if not groups:
        raise DataError("no results to compare; give one or more evaluation folders")
    return groups


def _row(
    key: _Key, metrics: Sequence[Mapping[str, Any]], measure: str, publication: str = ""
) -> ComparisonRow:
    figures = {
        setting: _spread([m["summary"].get(setting, {}).get(measure) for m in metrics])
        for setting in SETTINGS
    }
    figures[RANK_DISTANCE] = _spread([m["bias"].get("rank_distance") for m in metrics])
    if publication:
        return ComparisonRow(*key, publication, 0, figures)
    count = len(metrics)
    seeds = "1 seed" if count == 1 else f"{count} seeds"
    source = "as it comes" if key[-1] == UNTRAINED else seeds
    return ComparisonRow(*key, source, count, figures)


def _published_beside(benchmarks: set[str], measure: str) -> list[ComparisonRow]:
    rows = [
        _row((benchmark, row.encoder, row.batches), [row.metrics], measure, row.source)
        for benchmark in benchmarks
        for row in published_rows()
        if row.benchmark == _published_benchmark(benchmark)
    ]
    return [row for row in rows if any(row.figures[setting] for setting in SETTINGS)]


def _published_benchmark(title: str) -> str:
    """Return a benchmark's name without its languages, if they are those of the published rows."""
    name, _, langs = title.rpartition(":")
    return name if frozenset(langs.split(",")) == published_languages().get(name) else title


def place_of(batches: str, order: Sequence[str]) -> tuple[int, str]:
    """Return what sorts kinds of batches: in the order given, what it does not name last."""
    return (order.index(batches) if batches in order else len(order)), batches


def _place(row: ComparisonRow, order: Sequence[str]) -> tuple[str, str, int, str, bool, str]:
    """Sort a published row directly below ours of the same encoder and batches."""
    encoder = published_encoder(row.encoder).lower()
    return row.benchmark, encoder, *place_of(row.batches, order), row.seeds == 0, row.encoder


def _measures(groups: Mapping[_Key, Mapping[int, RunResult]]) -> list[str]:
    summaries = [r.metrics["summary"] for seeds in groups.values() for r in seeds.values()]
    return sorted({name for summary in summaries for values in summary.values() for name in values})


def _spread(values: list[float | None]) -> Spread | None:
    """Average over seeds; nothing if a seed lacks the figure, for the count would be wrong."""
    present = [value for value in values if value is not None]
    if len(present) < len(values):
        return None
    deviation = statistics.stdev(present) if len(present) > 1 else None
    return Spread(statistics.fmean(present), deviation)


def _show(spread: Spread | None, digits: int) -> str:
    if spread is None or spread.deviation is None:
        return round_figure(spread.mean if spread else None, digits)
    return f"{spread.mean:.{digits}f} ± {spread.deviation:.{digits}f}"


def round_figure(value: float | None, digits: int) -> str:
    """Return a figure rounded, or the sign for none."""
    return _MISSING if value is None else f"{value:.{digits}f}"
