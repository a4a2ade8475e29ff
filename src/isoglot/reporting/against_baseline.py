"""Many systems against one baseline: a table per figure, each difference with its test.

What the tests are is said in ``differences``, which shows one pair of systems at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from isoglot.reporting.differences import Difference, DifferenceReport
from isoglot.reporting.tables import RANK_DISTANCE, round_figure
from isoglot.reporting.writers import Table

__all__ = ["baseline_markdown", "baseline_tables"]

_DIGITS = {RANK_DISTANCE: 1}


def baseline_tables(report: DifferenceReport) -> Iterator[tuple[str, Table]]:
    """Yield a table per figure over all languages: a row per system, with its title.

    Args:
        report: A comparison whose systems were all compared with the first.
    """
    whole = [row for row in report.rows if row.figure.query_lang is None]
    for figure in dict.fromkeys(row.figure for row in whole):
        ranks = figure.measure == RANK_DISTANCE
        title = figure.measure if ranks else f"{figure.setting} {figure.measure}"
        yield title, _table([row for row in whole if row.figure == figure], report.alpha)


def _table(rows: Sequence[Difference], alpha: float) -> Table:
    first = rows[0]
    digits = _DIGITS.get(first.figure.measure, 4)
    columns = ("batches", "value", "difference", "in %", f"{100 * (1 - alpha):g} % interval")
    baseline = _with_deviation(first.baseline_value, first.baseline_deviation, digits)
    lines = [(first.baseline, baseline, "", "", "", "", "baseline")]
    for row in rows:
        interval = row.decisive_interval
        share = 100 * row.difference / row.baseline_value if row.baseline_value else None
        lines.append(
            (
                row.system,
                _with_deviation(row.system_value, row.system_deviation, digits),
                f"{row.difference:+.{digits}f}",
                round_figure(share, 1) if share is None else f"{share:+.1f}",
                f"[{interval.low:+.{digits}f}, {interval.high:+.{digits}f}]",
                "< .001" if row.p_holm < 0.001 else f"{row.p_holm:.3f}".removeprefix("0"),
                row.verdict,
            )
        )
    return Table((*columns, "p (Holm)", "verdict"), tuple(lines))


def _with_deviation(value: float, deviation: float | None, digits: int) -> str:
    shown = f"{value:.{digits}f}"
    return shown if deviation is None else f"{shown} ± {deviation:.{digits}f}"


def baseline_markdown(report: DifferenceReport, where: str) -> str:
    """Return a section of a page: the tables of a comparison, and how it was made.

    Args:
        report: A comparison whose systems were all compared with the first.
        where: What stands before the measure in the heading, such as benchmark and encoder.
    """
    baseline = report.systems[0]
    parts = [f"## {where}, {report.measure}, against {baseline.label}\n"]
    parts += [f"### {title}\n\n{table.to_markdown()}" for title, table in baseline_tables(report)]
    parts.append(
        f"{len(report.rows)} tests, {report.clusters:,} query ids, {report.permutations:,} "
        f"permutations, {report.resamples:,} resamples, seed {report.seed}. Intervals and "
        "p are over queries, and over seeds too where both have several; p is corrected over all "
        "rows of a measure. A difference is called better or worse if "
        f"p (Holm) is below {report.alpha:g} and the interval does not hold 0.\n"
    )
    parts += [f"- {note}\n" for note in report.notes]
    return "\n".join(parts)
