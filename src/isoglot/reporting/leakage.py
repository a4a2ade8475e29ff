"""An audit to read and to compute with: tables, examples, one JSON object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from isoglot import __version__
from isoglot.data.leakage import KINDS, SIDES, Leak, LeakageReport
from isoglot.reporting.writers import Table, shorten

__all__ = ["audit_markdown", "audit_record", "audit_text", "audit_warnings"]

EXAMPLES = 10
"""Examples per side and kind that are written."""
SHOWN = 2
"""Examples per side and kind that are printed."""
_WIDTH = 160
_PLURAL = {"query": "queries", "passage": "passages"}


def audit_record(reports: Sequence[LeakageReport], max_share: float) -> dict[str, Any]:
    """Return the content of ``audit.json``."""
    return {
        "isoglot_version": __version__,
        "max_share": max_share,
        "benchmarks": [_record(report, max_share) for report in reports],
    }


def audit_markdown(reports: Sequence[LeakageReport], max_share: float) -> str:
    """Return the content of ``audit.md``."""
    parts = ["# Leakage of benchmarks into training data\n"]
    for report in reports:
        parts.append(f"## {report.benchmark}\n\n{_verdict(report, max_share)}\n")
        parts.append(_table(report).to_markdown())
        for line in _examples(report, EXAMPLES):
            parts.append(line if line.startswith(" ") else f"\n- {line}")
    return "\n".join(parts) + "\n"


def audit_text(report: LeakageReport, max_share: float) -> str:
    """Return what is printed of one benchmark."""
    lines = [_table(report).to_text(), *_examples(report, SHOWN), _verdict(report, max_share)]
    return "\n".join(lines)


def audit_warnings(reports: Sequence[LeakageReport], max_share: float) -> list[str]:
    """Return a line for each benchmark that leaks more than the threshold."""
    return [
        f"warning: {_verdict(report, max_share)}" for report in reports if report.exceeds(max_share)
    ]


def _verdict(report: LeakageReport, max_share: float) -> str:
    counts = ", ".join(
        f"{report.count(side):,} of {report.total(side):,} {_PLURAL[side]} leak "
        f"({100 * report.share(side):.2f} %)"
        for side in SIDES
    )
    relation = "above" if report.exceeds(max_share) else "not above"
    return f"{report.benchmark}: {counts}; {relation} the threshold of {100 * max_share:g} %"


def _table(report: LeakageReport) -> Table:
    """Return the counts by side and language, a row for all languages last of each side."""
    rows = []
    for side in SIDES:
        langs = sorted(lang for own, lang in report.texts if own == side)
        for lang in (*langs, None):
            keys = [(side, each) for each in (langs if lang is None else [lang])]
            kinds = (report.count(side, lang, kind) for kind in KINDS)
            numbers = (
                sum(report.texts[key] for key in keys),
                sum(report.ignored[key] for key in keys),
                *kinds,
            )
            rows.append((_PLURAL[side], lang or "all", *(f"{number:,}" for number in numbers)))
    return Table(("side", "lang", "texts", "too short", *KINDS), tuple(rows), text_columns=2)


def _examples(report: LeakageReport, count: int) -> Iterator[str]:
    """Yield three lines per example: what, the training text, the benchmark text."""
    for leak in _first_of_each_kind(report, count):
        text = leak.training
        how = f", by way of {leak.via}" if leak.via else ""
        share = f" ({100 * leak.share:.0f} % of the letters)" if leak.kind == "near" else ""
        yield f"{leak.kind} {leak.side} {leak.lang}{how}{share}"
        yield (
            f"  training   {text.source} {text.group_id} {text.role}/{text.lang} "
            f"(group in {' '.join(text.langs)}): {shorten(text.text, _WIDTH)}"
        )
        yield f"  benchmark  {leak.text_id}: {shorten(leak.text, _WIDTH)}"


def _first_of_each_kind(report: LeakageReport, count: int) -> Iterator[Leak]:
    for side in SIDES:
        for kind in KINDS:
            leaks = [leak for leak in report.leaks if (leak.side, leak.kind) == (side, kind)]
            yield from leaks[:count]


def _record(report: LeakageReport, max_share: float) -> dict[str, Any]:
    sides = {}
    for side in SIDES:
        sides[_PLURAL[side]] = {
            "texts": report.total(side),
            "leaking": report.count(side),
            "share": report.share(side),
            "too_short": sum(n for (own, _), n in report.ignored.items() if own == side),
            "kinds": {kind: report.count(side, kind=kind) for kind in KINDS},
            "languages": {
                lang: {
                    "texts": texts,
                    "too_short": report.ignored[side, lang],
                    **{kind: report.count(side, lang, kind) for kind in KINDS},
                }
                for (own, lang), texts in sorted(report.texts.items())
                if own == side
            },
        }
    return {
        "benchmark": report.benchmark,
        "exceeds": report.exceeds(max_share),
        **sides,
        "examples": [
            {**leak._asdict(), "training": leak.training._asdict()}
            for leak in _first_of_each_kind(report, EXAMPLES)
        ],
        "training_groups": {source: list(groups) for source, groups in report.groups.items()},
    }
