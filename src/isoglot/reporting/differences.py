"""Tested differences between systems: rows to compute with, tables and sentences to read.

The statistics are in ``isoglot.evaluation.significance``; here it is said in words what they show.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from isoglot import __version__
from isoglot.reporting.tables import RANK_DISTANCE
from isoglot.reporting.writers import Table

__all__ = [
    "ROW_COLUMNS",
    "ComparedSystem",
    "Difference",
    "DifferenceReport",
    "Figure",
    "Interval",
    "comparison_markdown",
    "comparison_record",
    "comparison_text",
]

VERDICTS = ("better", "worse", "not shown")
ROW_COLUMNS: dict[str, type] = {
    **dict.fromkeys(("measure", "setting", "query_lang", "passage_lang"), str),
    "queries": int,
    **dict.fromkeys(("baseline", "system"), str),
    **dict.fromkeys(("baseline_value", "system_value"), float),
    **dict.fromkeys(("baseline_deviation", "system_deviation", "difference", "p", "p_holm"), float),
    **dict.fromkeys(("interval_low", "interval_high"), float),
    **dict.fromkeys(("seed_interval_low", "seed_interval_high"), float),
    "verdict": str,
}
"""The columns of the rows of ``comparison.json`` and their kinds; languages, deviations and ends of
intervals may be null."""
_DIGITS = {RANK_DISTANCE: 1}
_ALL = "all"


@dataclass(frozen=True)
class Figure:
    """What is tested: a measure's mean over pools, each the mean over the pool's queries."""

    measure: str
    """As ir_measures writes it, or ``rank distance``."""
    setting: str
    query_lang: str | None
    """None: over all query languages."""
    passage_lang: str | None
    """None: over all pools of the setting and query language."""
    queries: int
    """Queries measured, the same question in two languages being two."""

    @property
    def lower_is_better(self) -> bool:
        """Whether a smaller figure is the better one."""
        return self.measure == RANK_DISTANCE


@dataclass(frozen=True)
class Interval:
    """Both ends of an interval of a difference."""

    low: float
    high: float

    @property
    def holds_zero(self) -> bool:
        """Whether no difference is within the interval."""
        return self.low <= 0 <= self.high


@dataclass(frozen=True)
class Difference:
    """One figure of two systems, and whether their difference holds."""

    figure: Figure
    baseline: str
    system: str
    baseline_value: float
    system_value: float
    baseline_deviation: float | None
    """Sample standard deviation over the baseline's seeds; None for one seed."""
    system_deviation: float | None
    difference: float
    """System minus baseline."""
    interval: Interval
    """Over queries."""
    seed_interval: Interval | None
    """Over queries and seeds; None unless both systems have two seeds or more."""
    p: float
    """Two-sided, not corrected. Over queries; with ``seed_interval`` the larger of that and the one
    over queries and seeds."""
    p_holm: float
    """Corrected for all rows of the comparison with this measure."""
    alpha: float

    @property
    def decisive_interval(self) -> Interval:
        """The interval over seeds too, where there is one."""
        return self.seed_interval or self.interval

    @property
    def holds(self) -> bool:
        """Whether the corrected test and the interval both speak against chance."""
        return self.p_holm < self.alpha and not self.decisive_interval.holds_zero

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` of the system if the difference holds, else ``not shown``."""
        if not self.holds:
            return "not shown"
        return "better" if (self.difference < 0) == self.figure.lower_is_better else "worse"


@dataclass(frozen=True)
class ComparedSystem:
    """A system by its label, and the evaluations of its seeds."""

    label: str
    runs: tuple[str, ...]


@dataclass(frozen=True)
class DifferenceReport:
    """All rows of a comparison, and how they came about."""

    benchmark: str | None
    """None where only per-query files were given."""
    measure: str
    systems: tuple[ComparedSystem, ...]
    rows: tuple[Difference, ...]
    clusters: int
    """Different query ids."""
    alpha: float
    permutations: int
    resamples: int
    seed: int
    notes: tuple[str, ...] = ()
    """What a reader has to know about the data."""

    def by_pair(self) -> Iterator[tuple[str, str, list[Difference]]]:
        """Yield baseline, system and their rows."""
        for (baseline, system), rows in itertools.groupby(
            self.rows, lambda row: (row.baseline, row.system)
        ):
            yield baseline, system, list(rows)


def comparison_record(report: DifferenceReport) -> dict[str, Any]:
    """Return the content of ``comparison.json``."""
    record = dataclasses.asdict(report)
    rows = zip(record.pop("rows"), report.rows, strict=True)
    return {
        "isoglot_version": __version__,
        **record,
        "sentences": _sentences(report),
        "rows": [_flat(fields, row) for fields, row in rows],
    }


def _flat(fields: dict[str, Any], row: Difference) -> dict[str, Any]:
    """Return one level of names for a row."""
    del fields["alpha"]
    figure = fields.pop("figure")
    for name in ("interval", "seed_interval"):
        ends = fields.pop(name) or {"low": None, "high": None}
        fields |= {f"{name}_{end}": value for end, value in ends.items()}
    return {**figure, **fields, "verdict": row.verdict}


def comparison_text(report: DifferenceReport) -> str:
    """Return what is printed: per pair the tables and what they show in words, the notes last."""
    parts = []
    for baseline, system, rows in report.by_pair():
        tables = [table.to_text() for table in _tables(rows, report.alpha)]
        told = "".join(f"{line}\n" for line in _findings(rows))
        parts.append("\n".join([f"{system} against {baseline}\n", *tables, told]))
    parts.append("".join(f"{line}\n" for line in _remarks(report)))
    return "\n".join(parts)


def comparison_markdown(report: DifferenceReport) -> str:
    """Return the content of ``comparison.md``."""
    title = f"# Differences in {report.measure}" + (
        f" on {report.benchmark}" if report.benchmark else ""
    )
    parts = [f"{title}\n"]
    for baseline, system, rows in report.by_pair():
        parts.append(f"## {system} against {baseline}\n")
        parts.append("".join(f"- {line}\n" for line in _findings(rows)))
        parts += [table.to_markdown() for table in _tables(rows, report.alpha)]
    parts.append("## How to read it\n")
    parts.append("".join(f"- {line}\n" for line in _remarks(report)))
    return "\n".join(parts)


def _tables(rows: Sequence[Difference], alpha: float) -> Iterator[Table]:
    """Yield a table of the settings and, where there are any, one of the query languages."""
    whole = [row for row in rows if row.figure.query_lang is None]
    parts = [row for row in rows if row.figure.query_lang is not None]
    for some in (whole, parts):
        if some:
            yield _table(some, alpha)


def _table(rows: Sequence[Difference], alpha: float) -> Table:
    level = f"{100 * (1 - alpha):g} %"
    names = ["setting", "measure"]
    if rows[0].figure.query_lang is not None:
        names.append("query language")
    if any(row.figure.passage_lang for row in rows):
        names.append("passage language")
    figures = [rows[0].baseline, rows[0].system, "difference", f"{level} over queries"]
    if any(row.seed_interval for row in rows):
        figures.append(f"{level} over seeds too")
    lines = []
    for row in rows:
        figure, digits = row.figure, _digits(row)
        words = (
            *(figure.setting, figure.measure),
            *(figure.query_lang or _ALL, figure.passage_lang or _ALL),
        )
        cells = [
            _with_deviation(row.baseline_value, row.baseline_deviation, digits),
            _with_deviation(row.system_value, row.system_deviation, digits),
            f"{row.difference:+.{digits}f}",
            _show_interval(row.interval, digits),
        ]
        if row.seed_interval:
            cells.append(_show_interval(row.seed_interval, digits))
        tests = (_show_p(row.p), _show_p(row.p_holm), row.verdict)
        lines.append((*words[: len(names)], *cells, *tests))
    return Table((*names, *figures, "p", "p (Holm)", "verdict"), tuple(lines), len(names))


def _sentences(report: DifferenceReport) -> list[str]:
    found = [line for _, _, rows in report.by_pair() for line in _findings(rows)]
    return [*found, *_remarks(report)]


def _findings(rows: Sequence[Difference]) -> Iterator[str]:
    """Say what the rows of a pair show: a line per setting, then the languages counted."""
    for row in rows:
        if row.figure.query_lang is None:
            yield _sentence(row)
    by_language = [row for row in rows if row.figure.query_lang and not row.figure.passage_lang]
    for key, group in itertools.groupby(
        by_language, lambda r: (r.figure.setting, r.figure.measure)
    ):
        counts = Counter(row.verdict for row in group)
        tally = ", ".join(
            f"{verdict} in {counts[verdict]}" + (f" of {counts.total()} query languages" * first)
            for verdict, first in zip(VERDICTS, (True, False, False), strict=True)
        )
        yield f"{', '.join(key)}: {rows[0].system} is {tally}"


def _sentence(row: Difference) -> str:
    digits, figure = _digits(row), row.figure
    if figure.lower_is_better:
        where, unit = f"in {figure.measure} (lower is better)", "ranks"
    else:
        where, unit = f"in the {figure.setting} setting", figure.measure
    interval = _show_interval(row.decisive_interval, digits)
    over = " over queries and seeds" if row.seed_interval else ""
    test = f"p {_relation(row.p_holm)} (Holm)"
    numbers = f"{row.difference:+.{digits}f} {unit} {interval}{over}, {test}"
    if row.holds:
        return f"{row.system} is {row.verdict} than {row.baseline} {where}: {numbers}; holds"
    why = f"p is not below {row.alpha:g}"
    if row.p_holm < row.alpha:
        why = "the interval holds 0"
    return f"no difference shown between {row.system} and {row.baseline} {where}: {numbers}; {why}"


def _remarks(report: DifferenceReport) -> Iterator[str]:
    """Say what the tests are about, and what they leave open."""
    yield (
        f"tests: {len(report.rows)}; query ids: {report.clusters:,}, each drawn and turned as a "
        f"whole; {report.permutations:,} permutations, {report.resamples:,} resamples, seed "
        f"{report.seed}; p (Holm) is corrected over all rows of a measure; a difference holds if "
        f"it is below {report.alpha:g} and the interval does not hold 0"
    )
    single = [system.label for system in report.systems if len(system.runs) == 1]
    several = [system for system in report.systems if len(system.runs) > 1]
    if len(single) == 1:
        yield f"one seed of {single[0]}: a claim about this model, not about training it again"
    elif single:
        yield (
            f"one seed each of {', '.join(single)}: claims about these models, "
            "not about training them again"
        )
    tested = {
        name for row in report.rows if row.seed_interval for name in (row.baseline, row.system)
    }
    for system in several:
        about = (
            "where both systems have several, p and the interval are about training again, too"
            if system.label in tested
            else f"p is about the mean of these {len(system.runs)} trained models"
        )
        yield (
            f"{len(system.runs)} seeds of {system.label}: {about}; ± is the standard deviation "
            "over them"
        )
    yield from report.notes


def _digits(row: Difference) -> int:
    return _DIGITS.get(row.figure.measure, 4)


def _with_deviation(value: float, deviation: float | None, digits: int) -> str:
    shown = f"{value:.{digits}f}"
    return shown if deviation is None else f"{shown} ± {deviation:.{digits}f}"


def _show_interval(interval: Interval, digits: int) -> str:
    return f"[{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def _show_p(p: float) -> str:
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def _relation(p: float) -> str:
    shown = _show_p(p)
    return shown if shown.startswith("<") else f"= {shown}"
