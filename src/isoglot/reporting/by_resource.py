"""Means over low-, medium- and high-resource languages, told apart by the size of their corpus.

A macro-average over languages hides whether an encoder serves those with little text. MIRACL's
corpora are all of a Wikipedia cut into passages, so their sizes say how much text a language has;
cuts of MIRACL are grouped by the sizes of the whole.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from isoglot.data.published_counts import MIRACL_COUNTS
from isoglot.errors import ConfigError, DataError
from isoglot.evaluation.evaluate import SettingRow
from isoglot.evaluation.measures import parse_measure
from isoglot.evaluation.settings import SETTINGS
from isoglot.reporting.tables import RANK_DISTANCE, round_figure
from isoglot.reporting.writers import Table

__all__ = [
    "HIGH_FROM",
    "MEDIUM_FROM",
    "RESOURCE_GROUPS",
    "ResourceGroups",
    "group_languages",
    "resource_table",
    "summarize_by_resource",
]

RESOURCE_GROUPS = ("low", "medium", "high")
MEDIUM_FROM = 1_000_000
"""Passages from which a language counts as medium: the next smaller corpora of MIRACL, those of
th, te and hi, have half a million."""
HIGH_FROM = 5_000_000
"""Passages from which a language counts as high."""

_MIRACL = ("miracl", "miracl-mini")
# Not in MIRACL's README; as MTEB's description of MIRACLRetrieval counts them, which agrees with
# the README in the 16 other languages.
_MIRACL_SURPRISE = {"de": 15_866_222, "yo": 49_043}


@dataclass(frozen=True)
class ResourceGroups:
    """Languages with the size of their corpus, and the sizes that part them."""

    sizes: Mapping[str, int]
    """Passages by language."""
    published: bool
    """Whether the sizes are those of the published benchmark, not of the collection evaluated."""
    medium_from: int = MEDIUM_FROM
    high_from: int = HIGH_FROM

    def __post_init__(self) -> None:
        if not 0 < self.medium_from < self.high_from:
            raise ConfigError(
                f"groups of languages from {self.medium_from} and {self.high_from} passages; the "
                "first must be above 0 and below the second"
            )

    def group(self, lang: str) -> str:
        """Return the group of a language; one without passages is low."""
        size = self.sizes.get(lang, 0)
        return RESOURCE_GROUPS[(size >= self.medium_from) + (size >= self.high_from)]

    def query_group(self, row: SettingRow) -> str:
        """Return the group of a row's query language."""
        return self.group(row.query_lang)

    def passage_group(self, row: SettingRow) -> str:
        """Return the group of a row's passage language."""
        return self.group(row.passage_lang)

    def members(self, langs: Iterable[str]) -> dict[str, list[str]]:
        """Return the languages of each group, the smallest corpus first."""
        members: dict[str, list[str]] = {name: [] for name in RESOURCE_GROUPS}
        for lang in sorted(set(langs), key=lambda lang: (self.sizes.get(lang, 0), lang)):
            members[self.group(lang)].append(lang)
        return members


def group_languages(
    benchmark: str,
    pool_sizes: Mapping[str, int],
    *,
    medium_from: int = MEDIUM_FROM,
    high_from: int = HIGH_FROM,
) -> ResourceGroups:
    """Group languages by the size of their corpus.

    Args:
        benchmark: Name; the languages of MIRACL and MIRACL-mini count with MIRACL's full corpora.
        pool_sizes: Passages by language of the collection evaluated, for other benchmarks.
        medium_from: Passages from which a language is medium.
        high_from: Passages from which it is high.

    Raises:
        ConfigError: If the thresholds do not rise.
    """
    if benchmark not in _MIRACL:
        return ResourceGroups(dict(pool_sizes), False, medium_from, high_from)
    sizes = {lang: counts.passages for lang, counts in MIRACL_COUNTS["dev"].items()}
    return ResourceGroups(sizes | _MIRACL_SURPRISE, True, medium_from, high_from)


def summarize_by_resource(
    settings: Iterable[SettingRow], bias: Mapping[str, Any], groups: ResourceGroups
) -> dict[str, Any]:
    """Return means per group of languages, as JSON.

    A figure is the mean over the pools of a group, each weighing the same, as in ``summary``.
    Groups without a pool are left out.

    Args:
        settings: Rows of ``settings.parquet``.
        bias: ``bias`` of ``metrics.json``.
        groups: The groups.

    Returns:
        ``medium_from``, ``high_from``, ``published_sizes``, ``sizes`` (passages by language),
        ``groups`` (languages by group); ``monolingual`` (group to measure to value),
        ``cross-lingual`` (group of the query to group of the passage to measure to value),
        ``multilingual`` (group of the query to measure to value) and ``rank_distance`` (group of
        the query to value).
    """
    rows = list(settings)
    langs = {row.query_lang for row in rows}
    by_setting = {name: [row for row in rows if row.setting == name] for name in SETTINGS}
    pairs: dict[str, list[SettingRow]] = {name: [] for name in RESOURCE_GROUPS}
    for row in by_setting["cross-lingual"]:
        pairs[groups.query_group(row)].append(row)
    return {
        "medium_from": groups.medium_from,
        "high_from": groups.high_from,
        "published_sizes": groups.published,
        "sizes": {lang: groups.sizes.get(lang, 0) for lang in sorted(langs)},
        "groups": groups.members(langs),
        "monolingual": _means(by_setting["monolingual"], groups.query_group),
        "cross-lingual": {
            name: _means(found, groups.passage_group) for name, found in pairs.items() if found
        },
        "multilingual": _means(by_setting["multilingual"], groups.query_group),
        "rank_distance": _distance_means(bias, groups),
    }


def resource_table(summary: Mapping[str, Any], *, measure: str = "AP") -> Table:
    """Return one row per group of query languages: a column per setting, and rank distance.

    The cross-lingual setting has a column per group of passage languages.

    Args:
        summary: From `summarize_by_resource`.
        measure: The measure to show.

    Raises:
        ConfigError: If the measure is no measure.
        DataError: If the evaluation does not hold it.
    """
    measure = str(parse_measure(measure))
    present = [name for name in RESOURCE_GROUPS if summary["groups"][name]]
    columns = {
        f"monolingual {measure}": _column(summary["monolingual"], measure),
        **{
            f"cross-lingual to {target} {measure}": _column(
                {name: to.get(target, {}) for name, to in summary["cross-lingual"].items()}, measure
            )
            for target in present
        },
        f"multilingual {measure}": _column(summary["multilingual"], measure),
    }
    if not any(columns.values()):
        raise DataError(f"the evaluation does not hold {measure}; evaluate with this measure")
    columns[RANK_DISTANCE] = summary["rank_distance"]
    shown = {title: values for title, values in columns.items() if values}
    return Table(
        ("resources", "query languages", *shown),
        tuple(
            (
                name,
                " ".join(summary["groups"][name]),
                *(_figure(title, values.get(name)) for title, values in shown.items()),
            )
            for name in present
        ),
        text_columns=2,
    )


def _means(
    rows: Iterable[SettingRow], group_of: Callable[[SettingRow], str]
) -> dict[str, dict[str, float]]:
    """Return group to measure to mean; only groups that have rows."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        found[group_of(row)][row.measure].append(row.value)
    return {
        name: {measure: statistics.fmean(values) for measure, values in found[name].items()}
        for name in RESOURCE_GROUPS
        if name in found
    }


def _distance_means(bias: Mapping[str, Any], groups: ResourceGroups) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in RESOURCE_GROUPS}
    for lang, distance in (bias.get("rank_distance_by_query_lang") or {}).items():
        found[groups.group(lang)].append(distance)
    return {name: statistics.fmean(values) for name, values in found.items() if values}


def _column(values: Mapping[str, Mapping[str, float]], measure: str) -> dict[str, float]:
    return {name: found[measure] for name, found in values.items() if measure in found}


def _figure(title: str, value: float | None) -> str:
    return round_figure(value, 1 if title == RANK_DISTANCE else 4)
