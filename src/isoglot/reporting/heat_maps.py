"""The figures of heat maps: query languages down, passage languages across. No colours.

A cell that was not measured is missing, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from isoglot.errors import DataError
from isoglot.evaluation.evaluate import SettingRow
from isoglot.evaluation.measures import parse_measure
from isoglot.languages import ALL_LANGUAGES
from isoglot.reporting.tables import round_figure
from isoglot.reporting.writers import Table

__all__ = ["HeatMap", "difference_map", "measure_map", "share_map"]


@dataclass(frozen=True)
class HeatMap:
    """A value for every pair of query language and passage language that has one."""

    query_langs: tuple[str, ...]
    passage_langs: tuple[str, ...]
    """The columns, sorted; ``*``, the pool of all languages, is the last."""
    values: Mapping[tuple[str, str], float]
    """By query language and passage language."""

    def get(self, query_lang: str, passage_lang: str) -> float | None:
        """Return a value, or None where nothing was measured."""
        return self.values.get((query_lang, passage_lang))

    @property
    def largest(self) -> float:
        """The largest absolute value; 0 for an empty map."""
        return max(map(abs, self.values.values()), default=0.0)

    def mixed_pool(self) -> HeatMap:
        """Return the last column only: the pool of all languages."""
        return _heat_map({key: v for key, v in self.values.items() if key[1] == ALL_LANGUAGES})

    def table(self, digits: int = 4) -> Table:
        """Return the map as a table."""
        return Table(
            ("query language", *self.passage_langs),
            tuple(
                (
                    lang,
                    *(round_figure(self.get(lang, other), digits) for other in self.passage_langs),
                )
                for lang in self.query_langs
            ),
        )


def measure_map(settings: Iterable[SettingRow], measure: str) -> HeatMap:
    """Return a measure of all three settings in one map.

    The diagonal is the monolingual setting, the last column, ``*``, the multilingual one.

    Raises:
        ConfigError: If the measure is no measure.
        DataError: If the evaluation does not hold it.
    """
    measure = str(parse_measure(measure))
    rows = list(settings)
    values = {(r.query_lang, r.passage_lang): r.value for r in rows if r.measure == measure}
    if not values:
        held = ", ".join(dict.fromkeys(row.measure for row in rows))
        raise DataError(f"the evaluation does not hold {measure}; it holds {held or 'nothing'}")
    return _heat_map(values)


def difference_map(run: HeatMap, first: HeatMap) -> HeatMap:
    """Return ``run - first`` where both have a value."""
    return _heat_map({k: run.values[k] - first.values[k] for k in run.values if k in first.values})


def share_map(shares: Mapping[str, Mapping[str, float]]) -> HeatMap:
    """Return the shares of passage languages by query language, as in the bias figures."""
    return _heat_map({(q, p): share for q, row in shares.items() for p, share in row.items()})


def _heat_map(values: Mapping[tuple[str, str], float]) -> HeatMap:
    columns = {passage_lang for _, passage_lang in values}
    return HeatMap(
        query_langs=tuple(sorted({query_lang for query_lang, _ in values})),
        passage_langs=tuple(sorted(columns, key=lambda lang: (lang == ALL_LANGUAGES, lang))),
        values=dict(values),
    )
