"""Figures of claims in words: differences with interval and p, counts of verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from isoglot.reporting.differences import Difference, Interval
from isoglot.reporting.tables import RANK_DISTANCE

__all__ = [
    "count_verdicts",
    "show_difference",
    "show_interval",
    "show_p",
    "show_value",
    "tell_count",
    "tell_difference",
    "tell_verdicts",
    "to_record",
    "turn",
]

_VERDICTS = ("better", "worse", "not shown")


def turn(row: Difference) -> Difference:
    """Return the same difference seen from the other system: what was the baseline is tested."""
    return replace(
        row,
        baseline=row.system,
        system=row.baseline,
        baseline_value=row.system_value,
        system_value=row.baseline_value,
        baseline_deviation=row.system_deviation,
        system_deviation=row.baseline_deviation,
        difference=-row.difference,
        interval=_negate(row.interval),
        seed_interval=row.seed_interval and _negate(row.seed_interval),
    )


def _negate(interval: Interval) -> Interval:
    return Interval(-interval.high, -interval.low)


def show_value(value: float, measure: str) -> str:
    """Return a figure as tables show it."""
    return f"{value:.{_digits(measure)}f}"


def show_difference(row: Difference) -> str:
    """Return a difference with its sign."""
    return f"{row.difference:+.{_digits(row.figure.measure)}f}"


def show_interval(row: Difference) -> str:
    """Return the interval that decides: over seeds too, where there are several on both sides."""
    digits, ends = _digits(row.figure.measure), row.decisive_interval
    return f"[{ends.low:.{digits}f}, {ends.high:.{digits}f}]"


def show_p(p: float) -> str:
    """Return a p-value without its zero."""
    return "< .001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def tell_count(number: int, word: str) -> str:
    """Return ``1 audit`` or ``2 audits``."""
    return f"{number:,} {word}" + ("" if number == 1 else "s")


def tell_difference(row: Difference) -> str:
    """Say what a row shows, verdict first.

    Such as ``better than monolingual: 0.5934 against 0.5479, +0.0455 [0.0402, 0.0510], p < .001
    (Holm)``.
    """
    found = f"{row.verdict} than" if row.holds else "no difference shown from"
    p = show_p(row.p_holm)
    values = [
        show_value(value, row.figure.measure) for value in (row.system_value, row.baseline_value)
    ]
    return (
        f"{found} {row.baseline}: {values[0]} against {values[1]}, {show_difference(row)} "
        f"{show_interval(row)}, p {p if p.startswith('<') else f'= {p}'} (Holm)"
    )


def count_verdicts(rows: Iterable[Difference]) -> dict[str, int]:
    """Count the rows of each verdict, all verdicts named."""
    counts = Counter(row.verdict for row in rows)
    return {verdict: counts[verdict] for verdict in _VERDICTS}


def tell_verdicts(rows: Iterable[Difference]) -> str:
    """Return ``better in 1, worse in 0, not shown in 5 of 6``."""
    counts = count_verdicts(rows)
    told = ", ".join(f"{verdict} in {count}" for verdict, count in counts.items())
    return f"{told} of {sum(counts.values())}"


def to_record(row: Difference) -> dict[str, Any]:
    """Return a row as JSON, on one level."""
    seeds = row.seed_interval
    return {
        "setting": row.figure.setting,
        "measure": row.figure.measure,
        "query_lang": row.figure.query_lang,
        "passage_lang": row.figure.passage_lang,
        "queries": row.figure.queries,
        "baseline": row.baseline,
        "system": row.system,
        "baseline_value": row.baseline_value,
        "system_value": row.system_value,
        "difference": row.difference,
        "interval_low": row.interval.low,
        "interval_high": row.interval.high,
        "seed_interval_low": seeds.low if seeds else None,
        "seed_interval_high": seeds.high if seeds else None,
        "p": row.p,
        "p_holm": row.p_holm,
        "verdict": row.verdict,
    }


def _digits(measure: str) -> int:
    return 1 if measure == RANK_DISTANCE else 4
