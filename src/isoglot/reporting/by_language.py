"""Results by query language: of one evaluation, and of regimes side by side.

The second is the form of Tables 3 to 8 of arXiv 2408.10536.
"""

from __future__ import annotations

import itertools
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from isoglot.errors import DataError
from isoglot.evaluation.evaluate import SettingRow
from isoglot.evaluation.measures import parse_measure
from isoglot.evaluation.settings import SETTINGS
from isoglot.reporting.tables import BATCHES, RANK_DISTANCE, RunResult, round_figure
from isoglot.reporting.writers import Table

__all__ = ["compare_languages", "language_table", "subset_table"]

_MEAN = "mean"
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
    results: Iterable[RunResult], *, measure: str = "AP"
) -> dict[tuple[str, str], Table]:
    """Return a table per (benchmark, encoder): query languages by settings and batches.

    Every figure is a mean over seeds; settings that a benchmark does not have are left out.

    Raises:
        ConfigError: If the measure is no measure.
        DataError: If a result does not hold it.
    """
    measure = str(parse_measure(measure))
    found: dict[tuple[str, str], dict[str, list[Figures]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        figures = _figures(result.settings, result.metrics["bias"], measure)
        found[result.benchmark, result.encoder][result.batches].append(figures)
    return {key: _side_by_side(by_batches, measure) for key, by_batches in found.items()}


def _side_by_side(by_batches: Mapping[str, Sequence[Figures]], measure: str) -> Table:
    batches = sorted(by_batches, key=_place)
    means = {name: _with_mean(_seed_mean(by_batches[name])) for name in batches}
    present = {column for rows in means.values() for row in rows.values() for column in row}
    columns = [c for c in (*SETTINGS, RANK_DISTANCE) if c in present]
    header = [
        f"{_title(column, measure)}: {name}" for column, name in itertools.product(columns, batches)
    ]
    rows = [
        (
            lang,
            *(
                round_figure(means[name].get(lang, {}).get(column), _DIGITS.get(column, 4))
                for column, name in itertools.product(columns, batches)
            ),
        )
        for lang in means[batches[0]]
    ]
    return Table(("query language", *header), tuple(rows))


def _title(column: str, measure: str) -> str:
    return column if column == RANK_DISTANCE else f"{column} {measure}"


def _place(batches: str) -> tuple[int, str]:
    return (BATCHES.index(batches) if batches in BATCHES else len(BATCHES), batches)


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
