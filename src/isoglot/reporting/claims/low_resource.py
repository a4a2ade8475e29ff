"""What combining both kinds of batches does for each low-resource language and pair.

Hybrid batches against monolingual and against cross-lingual ones, by query language and by ordered
pair of languages of which one at least is low-resource.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from isoglot.evaluation.settings import SETTINGS
from isoglot.evaluation.significance import holm
from isoglot.reporting.claims.evidence import Compared
from isoglot.reporting.claims.words import (
    count_verdicts,
    show_difference,
    show_interval,
    show_p,
    show_value,
    tell_verdicts,
)
from isoglot.reporting.differences import Difference
from isoglot.reporting.tables import RANK_DISTANCE
from isoglot.reporting.writers import Table

__all__ = [
    "LowResource",
    "count_all",
    "language_table",
    "pair_table",
    "select_low_resource",
    "summarize_low_resource",
]


@dataclass(frozen=True)
class LowResource:
    """The rows of one encoder on one benchmark."""

    encoder: str
    benchmark: str
    langs: tuple[str, ...]
    """The low-resource ones among its languages."""
    rows: tuple[Difference, ...]
    """Corrected together: both baselines, all languages and pairs, rank distance too."""

    @property
    def by_language(self) -> list[Difference]:
        """The rows of a query language over all its pools."""
        return [row for row in self.rows if row.figure.passage_lang is None]

    @property
    def by_pair(self) -> list[Difference]:
        """The rows of one query and one passage language."""
        return [row for row in self.rows if row.figure.passage_lang is not None]


def select_low_resource(compared: Iterable[Compared], langs: Sequence[str]) -> list[LowResource]:
    """Take the rows of low-resource languages, and correct their p-values anew.

    Args:
        compared: What was tested by language and pair.
        langs: Which languages are low-resource.

    Returns:
        One for each encoder and benchmark that has such a row.
    """
    found = []
    for each in compared:
        rows = [row for row in each.details.rows if _is_low(row, langs)] if each.details else []
        if rows:
            corrected = holm(np.array([row.p for row in rows])).tolist()
            rows = [replace(row, p_holm=p) for row, p in zip(rows, corrected, strict=True)]
            held = {lang for row in rows for lang in _langs(row)}
            own = tuple(lang for lang in langs if lang in held)
            found.append(LowResource(each.trained.label, each.benchmark, own, tuple(rows)))
    return found


def _langs(row: Difference) -> tuple[str | None, str | None]:
    return row.figure.query_lang, row.figure.passage_lang


def _is_low(row: Difference, langs: Sequence[str]) -> bool:
    return any(lang in langs for lang in _langs(row))


def summarize_low_resource(part: LowResource) -> Iterator[str]:
    """Say per baseline in how many languages and pairs hybrid is better, worse, not shown."""
    for baseline in dict.fromkeys(row.baseline for row in part.rows):
        told = []
        for name, rows in _parts(part):
            own = [row for row in rows if row.baseline == baseline]
            if own:
                told.append(f"{name}: {tell_verdicts(own)}")
        yield f"hybrid against {baseline} batches: {'; '.join(told)}"


def _parts(part: LowResource) -> Iterator[tuple[str, list[Difference]]]:
    """Yield the rows of the languages by setting, rank distance, and the pairs."""
    for setting in SETTINGS:
        rows = [r for r in part.by_language if r.figure.setting == setting]
        yield setting, [row for row in rows if row.figure.measure != RANK_DISTANCE]
    yield RANK_DISTANCE, [r for r in part.by_language if r.figure.measure == RANK_DISTANCE]
    yield "pairs of languages", part.by_pair


def count_all(parts: Iterable[LowResource]) -> str:
    """Say in one sentence what all rows show."""
    rows = [row for part in parts for row in part.rows]
    counts = count_verdicts(rows)
    return (
        f"of {len(rows):,} comparisons in low-resource languages and pairs, hybrid batches are "
        f"better in {counts['better']:,}, worse in {counts['worse']:,}, and in "
        f"{counts['not shown']:,} no difference is shown; p is corrected within an encoder and "
        "benchmark, and not across them"
    )


def language_table(part: LowResource) -> Table:
    """Return one row per baseline, setting and query language."""
    return _table(part, part.by_language, ("query language",))


def pair_table(part: LowResource, *, shown_only: bool = False) -> Table:
    """Return one row per baseline and pair; on demand only those with a difference."""
    rows = [row for row in part.by_pair if row.holds or not shown_only]
    return _table(part, rows, ("query language", "passage language"))


def _table(part: LowResource, rows: Sequence[Difference], langs: tuple[str, ...]) -> Table:
    alpha = part.rows[0].alpha
    names = ("setting", "measure", *langs, "against")
    figures = ("hybrid", "other", "difference", f"{100 * (1 - alpha):g} %", "p (Holm)", "verdict")
    return Table(
        (*names, *figures),
        tuple(
            (
                *(row.figure.setting, row.figure.measure),
                *(str(lang) for lang in _langs(row)[: len(langs)]),
                row.baseline,
                *(
                    show_value(v, row.figure.measure)
                    for v in (row.system_value, row.baseline_value)
                ),
                *(show_difference(row), show_interval(row), show_p(row.p_holm), row.verdict),
            )
            for row in sorted(rows, key=lambda row: _place(row, part.langs))
        ),
        text_columns=len(names),
    )


def _place(row: Difference, langs: Sequence[str]) -> tuple[int, bool, list[int], list[str]]:
    """Sort by setting, then by language, the two baselines side by side."""
    figure = row.figure
    held = [str(lang) for lang in _langs(row) if lang]
    places = [langs.index(lang) if lang in langs else len(langs) for lang in held]
    is_distance = figure.measure == RANK_DISTANCE
    return SETTINGS.index(figure.setting), is_distance, places, held
