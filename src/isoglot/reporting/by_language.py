"""Results by query language: of one evaluation, and of kinds of batches below one another.

The second holds what Tables 3 to 8 of arXiv 2408.10536 do, batches as rows.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from isoglot.errors import DataError
from isoglot.evaluation.evaluate import SettingRow
from isoglot.evaluation.measures import parse_measure
from isoglot.evaluation.settings import SETTINGS
from isoglot.reporting.tables import (
    BATCHES,
    RANK_DISTANCE,
    RunResult,
    place_of,
    round_figure,
)
from isoglot.reporting.writers import Table

__all__ = ["compare_languages", "language_table", "subset_table"]

_MEAN = "mean"
_OTHERS = "mean of others"
_DIGITS = {RANK_DISTANCE: 1}

Figures = Mapping[str, Mapping[str, float]]
"""By query language and column: the three settings and rank distance, as far as they exist."""


def language_table(
    settings: Iterable[SettingRow], bias: Mapping[str, Any], *, measure: str = "AP"
) -> Table:
    """Return one evaluation by query language, one column per setting, and the mean below.

    The cross-lingual column is the mean over passage languages. The last row is a mean over
    query languages; the cross-lingual figure of ``summary``, a mean over pairs, is the same unless
    some pairs are missing.

    Raises:
        ConfigError: If the measure is no measure.
        DataError: If the evaluation does not hold it.
    """
    measure = str(parse_measure(measure))
    figures = _figures(settings, bias, measure)
    columns = (*SETTINGS, RANK_DISTANCE)
    return Table(
        ("query language", *(_title(column, measure) for column in columns)),
        tuple(
            (lang, *(round_figure(row.get(c), _DIGITS.get(c, 4)) for c in columns))
            for lang, row in _with_mean(figures).items()
        ),
    )


def subset_table(subsets: Mapping[str, Any], *, measure: str = "AP") -> Table:
    """Return one row per subset of languages, from ``subsets`` of ``metrics.json``.

    Raises:
        ConfigError: If the measure is no measure.
    """
    measure = str(parse_measure(measure))
    columns = (*SETTINGS, RANK_DISTANCE)
    return Table(
        ("subset", "languages", *(_title(column, measure) for column in columns)),
        tuple(
            (
                name,
                " ".join(subset["langs"]),
                *(round_figure(subset["summary"][s].get(measure), 4) for s in SETTINGS),
                round_figure(subset["bias"]["rank_distance"], _DIGITS[RANK_DISTANCE]),
            )
            for name, subset in subsets.items()
        ),
        text_columns=2,
    )


def compare_languages(
    results: Iterable[RunResult],
    *,
    measure: str = "AP",
    order: Sequence[str] = BATCHES,
    langs: Sequence[str] | None = None,
    baseline: str | None = None,
) -> dict[tuple[str, str], dict[str, Table]]:
    """Return tables per (benchmark, encoder): one per setting, batches by query languages.

    Every figure is a mean over seeds; settings that a benchmark does not have are left out.

    Args:
        results: One per benchmark, encoder, batches and seed.
        measure: A name as ir_measures writes it.
        order: The order of kinds of batches; what it does not name follows by name.
        langs: Show these query languages and the mean of the others; benchmarks that have none of
            them are left out. Default: all.
        baseline: Show differences from these batches, too, where an encoder has them.

    Returns:
        Tables by title, which is a setting with the measure, or rank distance.

    Raises:
        ConfigError: If the measure is no measure.
        DataError: If a result does not hold it.
    """
    measure = str(parse_measure(measure))
    found: dict[tuple[str, str], dict[str, list[Figures]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        figures = _figures(result.settings, result.metrics["bias"], measure)
        found[result.benchmark, result.encoder][result.batches].append(figures)
    tables = {}
    for key, by_batches in found.items():
        names = sorted(by_batches, key=lambda batches: place_of(batches, order))
        means = {name: _seed_mean(by_batches[name]) for name in names}
        held = list(means[names[0]])
        shown = held if langs is None else [lang for lang in langs if lang in held]
        if shown:
            tables[key] = {
                _title(column, measure): _batches_by_language(means, column, shown, baseline)
                for column in (*SETTINGS, RANK_DISTANCE)
                if any(column in row for figures in means.values() for row in figures.values())
            }
    return tables


def _batches_by_language(
    means: Mapping[str, Figures], column: str, langs: Sequence[str], baseline: str | None
) -> Table:
    """Return a row per kind of batches, a column per language, and their mean."""
    rows = {name: _columns(figures, column, langs) for name, figures in means.items()}
    base = rows.get(baseline) if baseline is not None else None
    digits = _DIGITS.get(column, 4)
    return Table(
        ("batches", *rows[next(iter(rows))]),
        tuple(
            (
                name,
                *(
                    round_figure(value, digits)
                    + (_difference(value, base[title], digits) if base and name != baseline else "")
                    for title, value in row.items()
                ),
            )
            for name, row in rows.items()
        ),
    )


def _columns(figures: Figures, column: str, langs: Sequence[str]) -> dict[str, float | None]:
    """Return the figures of some languages, their mean, and the mean of the others."""
    values: dict[str, float | None] = {lang: figures.get(lang, {}).get(column) for lang in langs}
    groups = {_MEAN: langs, _OTHERS: [lang for lang in figures if lang not in langs]}
    for title, members in groups.items():
        if members:
            present = [figures[m][column] for m in members if column in figures.get(m, {})]
            values[title] = statistics.fmean(present) if present else None
    return values


def _difference(value: float | None, base: float | None, digits: int) -> str:
    return "" if value is None or base is None else f" ({value - base:+.{digits}f})"


def _title(column: str, measure: str) -> str:
    return column if column == RANK_DISTANCE else f"{column} {measure}"


def _figures(
    settings: Iterable[SettingRow], bias: Mapping[str, Any], measure: str
) -> dict[str, dict[str, float]]:
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in settings:
        if row.measure == measure:
            values[row.query_lang][row.setting].append(row.value)
    if not values:
        raise DataError(f"the evaluation does not hold {measure}; evaluate with this measure")
    distances = bias.get("rank_distance_by_query_lang") or {}
    return {
        lang: {setting: statistics.fmean(found) for setting, found in values[lang].items()}
        | ({RANK_DISTANCE: distances[lang]} if lang in distances else {})
        for lang in sorted(values)
    }


def _seed_mean(seeds: Sequence[Figures]) -> dict[str, dict[str, float]]:
    first = seeds[0]
    return {
        lang: {column: statistics.fmean(seed[lang][column] for seed in seeds) for column in row}
        for lang, row in first.items()
    }


def _with_mean(figures: Figures) -> dict[str, Mapping[str, float]]:
    """Add a row with the mean over languages of each column."""
    columns: dict[str, list[float]] = defaultdict(list)
    for row in figures.values():
        for column, value in row.items():
            columns[column].append(value)
    return {**figures, _MEAN: {c: statistics.fmean(values) for c, values in columns.items()}}
