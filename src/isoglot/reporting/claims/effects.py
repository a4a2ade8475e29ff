"""Statements 8 to 11 judged by tested differences between runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from isoglot.data.published_counts import LAREQA_COUNTS
from isoglot.evaluation.settings import SETTINGS
from isoglot.reporting.claims.as_published import ENCODERS, SUBSTANTIAL
from isoglot.reporting.claims.coverage import is_papers, tell_missing
from isoglot.reporting.claims.evidence import Compared, Evidence
from isoglot.reporting.claims.statements import DOES_NOT_HOLD, HOLDS, NOT_TESTABLE, Line
from isoglot.reporting.claims.words import (
    count_verdicts,
    tell_difference,
    tell_verdicts,
    to_record,
)
from isoglot.reporting.differences import Difference, DifferenceReport
from isoglot.reporting.published import published_languages
from isoglot.reporting.tables import RANK_DISTANCE

__all__ = ["judge_effects"]

_OTHERS = ("monolingual", "cross-lingual")


def judge_effects(evidence: Evidence) -> dict[int, list[Line]]:
    """Judge statements 8 to 11.

    Returns:
        Lines by the statement's number.
    """
    judges: dict[int, Callable[[Evidence], Iterator[Line]]] = {
        8: _best,
        9: _beats,
        10: _bias,
        11: _zero_shot,
    }
    return {number: list(judge(evidence)) for number, judge in judges.items()}


def _nothing() -> Line:
    return Line(NOT_TESTABLE, "no encoder trained with hybrid and another regime was evaluated")


def _settings_of(evidence: Evidence) -> list[tuple[Compared, DifferenceReport]]:
    return [(c, c.settings) for c in evidence.compared if c.settings is not None]


def _rows(report: DifferenceReport, measure: str, settings: Sequence[str]) -> list[Difference]:
    return [
        row
        for row in report.rows
        if row.figure.measure == measure
        and row.figure.setting in settings
        and row.figure.query_lang is None
    ]


def _missing(compared: Compared) -> list[str]:
    return [regime for regime in _OTHERS if regime not in compared.evaluated]


def _not_on(found: Sequence[Compared], benchmarks: Iterable[str]) -> Iterator[Line]:
    """Say of every encoder on which of the paper's benchmarks nothing was compared."""
    done = {(compared.trained.label, compared.name) for compared in found}
    for label in dict.fromkeys(compared.trained.label for compared in found):
        for name in benchmarks:
            if (label, name) not in done:
                why = "nothing to compare on it; evaluate the models of all regimes on it"
                yield Line(NOT_TESTABLE, why, {}, label, name)


def _caveat(compared: Compared, regimes: Iterable[str]) -> str:
    """Say what a verdict leaves open: other languages, and training again."""
    told = []
    if partial := tell_missing(compared.name, compared.langs):
        told.append(partial)
    if compared.has_one_seed(regimes):
        told.append("one seed: of these models, not of training again")
    return "".join(f"; {text}" for text in told)


def _best(evidence: Evidence) -> Iterator[Line]:
    found = _settings_of(evidence)
    if not found:
        yield _nothing()
    for compared, report in found:
        rows = _rows(report, compared.measure, SETTINGS[2:])
        counts = is_papers(compared.name)
        yield _against_both(compared, rows, "no pool of several languages", counts=counts)
    yield from _not_on([compared for compared, _ in found], LAREQA_COUNTS)


def _beats(evidence: Evidence) -> Iterator[Line]:
    """All settings; it rests on the paper's encoders and benchmarks, others are shown beside."""
    known = []
    for compared, report in _settings_of(evidence):
        if compared.trained.known_encoder is not None:
            known.append(compared)
        counts = compared.trained.known_encoder is not None and is_papers(compared.name)
        rows = _rows(report, compared.measure, SETTINGS)
        yield _against_both(compared, rows, "nothing to compare", counts=counts)
    yield from _not_on(known, published_languages())
    tested = {compared.trained.known_encoder for compared in known}
    for encoder in ENCODERS:
        if encoder not in tested:
            yield Line(NOT_TESTABLE, "no runs of it; train it with all three regimes", {}, encoder)


def _against_both(
    compared: Compared, rows: Sequence[Difference], empty: str, *, counts: bool
) -> Line:
    """Judge whether hybrid is better in all rows; what is missing leaves it open."""
    encoder, name = compared.trained.label, compared.benchmark
    missing = _missing(compared)
    told = "; ".join(
        f"{row.figure.setting} {row.figure.measure}: {tell_difference(row)}" for row in rows
    )
    figures = {"differences": [to_record(row) for row in rows], **count_verdicts(rows)}
    if not rows:
        return Line(NOT_TESTABLE, empty, {}, encoder, name, counts=False)
    if missing:
        told += f"; no runs with {' or '.join(missing)} batches"
    told += _caveat(compared, ("hybrid", *(row.baseline for row in rows)))
    if tell_missing(compared.name, compared.langs):
        verdict = NOT_TESTABLE
    elif any(row.verdict != "better" for row in rows):
        verdict = DOES_NOT_HOLD
    else:
        verdict = NOT_TESTABLE if missing else HOLDS
    return Line(verdict, told, figures, encoder, name, counts)


def _bias(evidence: Evidence) -> Iterator[Line]:
    found = _settings_of(evidence)
    if not found:
        yield _nothing()
    for compared, report in found:
        rows = _rows(report, RANK_DISTANCE, SETTINGS[2:])
        for row in rows:
            yield _reduction(compared, row)
        if not any(row.baseline == "monolingual" for row in rows):
            yield _no_distance(compared)
    if found and not any(is_papers(compared.name) for compared, _ in found):
        why = f"nothing to compare on {' or '.join(LAREQA_COUNTS)}"
        yield Line(NOT_TESTABLE, why)


def _reduction(compared: Compared, row: Difference) -> Line:
    """Judge whether all of the interval is as far down as we call substantial."""
    change = row.difference / row.baseline_value if row.baseline_value else 0.0
    least = -SUBSTANTIAL * row.baseline_value
    enough = row.verdict == "better" and row.decisive_interval.high <= least
    why = f"{RANK_DISTANCE}: {tell_difference(row)}; {100 * change:+.1f} %"
    if row.verdict == "better" and not enough:
        small = f"less than the {100 * SUBSTANTIAL:g} % that we call substantial"
        why += f", {small}" if row.difference > least else f", but {small} is not ruled out"
    counts = row.baseline == "monolingual" and is_papers(compared.name)
    if row.baseline != "monolingual":
        why += "; the statement is not about these batches"
    why += _caveat(compared, ("hybrid", row.baseline))
    figures = {**to_record(row), "change": change}
    verdict = HOLDS if enough else DOES_NOT_HOLD
    if tell_missing(compared.name, compared.langs):
        verdict = NOT_TESTABLE
    return Line(verdict, why, figures, compared.trained.label, compared.benchmark, counts)


def _no_distance(compared: Compared) -> Line:
    why, counts = "no query with relevant passages in several languages", False
    if "monolingual" not in compared.evaluated:
        why, counts = "no runs with monolingual batches", is_papers(compared.name)
    label = compared.trained.label
    return Line(NOT_TESTABLE, why, {}, label, compared.benchmark, counts)


def _zero_shot(evidence: Evidence) -> Iterator[Line]:
    for compared in evidence.compared:
        label, name = compared.trained.label, compared.benchmark
        if "hybrid" not in compared.evaluated:
            continue
        if compared.references is None:
            why = (
                "neither the encoder as it comes nor BM25 was evaluated on it; run isoglot "
                "evaluate -m with that encoder, or -m bm25, and give the folder, too"
            )
            yield Line(NOT_TESTABLE, why, {}, label, name)
            continue
        rows = [row for row in compared.references.rows if _is_cell(row, compared.measure)]
        yield _strong(compared, rows, "")
        if compared.unseen:
            some = [row for row in rows if row.figure.query_lang in compared.unseen]
            yield _strong(compared, some, f"in {' '.join(compared.unseen)}, not trained on: ")
    if not any("hybrid" in compared.evaluated for compared in evidence.compared):
        yield Line(NOT_TESTABLE, "no encoder trained with hybrid batches was evaluated")


def _is_cell(row: Difference, measure: str) -> bool:
    figure = row.figure
    return figure.measure == measure and figure.query_lang is not None


def _strong(compared: Compared, rows: Sequence[Difference], where: str) -> Line:
    """Judge by languages and settings, against every reference by itself."""
    told, holds = [], bool(rows)
    figures: dict[str, Any] = {"references": {}}
    for reference in dict.fromkeys(row.baseline for row in rows):
        cells = [row for row in rows if row.baseline == reference]
        counts = count_verdicts(cells)
        holds &= counts["better"] > len(cells) / 2 and not counts["worse"]
        told.append(f"against {reference}: {tell_verdicts(cells)} languages and settings")
        figures["references"][reference] = {**counts, "by_setting": _by_setting(cells)}
    why = where + ("; ".join(told) or "no language was tested by itself")
    if rows and compared.has_one_seed(["hybrid"]):
        why += "; one seed: of these models, not of training again"
    verdict = NOT_TESTABLE if not rows else HOLDS if holds else DOES_NOT_HOLD
    return Line(verdict, why, figures, compared.trained.label, compared.benchmark, bool(rows))


def _by_setting(cells: Sequence[Difference]) -> dict[str, dict[str, int]]:
    return {
        setting: count_verdicts(found)
        for setting in SETTINGS
        if (found := [row for row in cells if row.figure.setting == setting])
    }
