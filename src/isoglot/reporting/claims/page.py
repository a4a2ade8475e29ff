"""The claims as one page to read and one JSON object to compute with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from isoglot import __version__
from isoglot.reporting.claims.evidence import Evidence
from isoglot.reporting.claims.low_resource import (
    LowResource,
    count_all,
    language_table,
    pair_table,
    summarize_low_resource,
)
from isoglot.reporting.claims.statements import STATEMENTS, Judgement, Line
from isoglot.reporting.claims.words import to_record
from isoglot.reporting.writers import Table

__all__ = ["ClaimsReport", "claims_markdown", "claims_record"]

_PAPER = "arXiv 2408.10536"
_PUBLISHED = (
    "From the tables of the paper alone. Values per query were not published, so nothing is said "
    "about chance; best and lower are of the figures as printed."
)
_RUNS = (
    "From the files of the given runs alone. A difference counts if p, corrected by Holm over all "
    "settings and baselines of a measure, is below {alpha:g} and the {level:g} % interval does not "
    "hold 0; both are about queries, and about training again where both sides have several seeds. "
    "*No difference shown* does not mean that there is none."
)
_LOW = (
    "Hybrid batches against monolingual and cross-lingual ones, for every low-resource query "
    "language, and for every ordered pair with a low-resource language on one side or both. p is "
    "corrected over all rows of an encoder on a benchmark. Of rank distance, lower is better."
)


@dataclass(frozen=True)
class ClaimsReport:
    """The verdicts, and what they rest on."""

    published: Sequence[Judgement]
    runs: Sequence[Judgement]
    low_resource: Sequence[LowResource]
    low_langs: tuple[str, ...]
    """What counted as low-resource."""
    evidence: Evidence
    alpha: float
    resamples: int
    seed: int


def claims_markdown(report: ClaimsReport, *, all_pairs: bool = True) -> str:
    """Return the page.

    Args:
        report: The verdicts.
        all_pairs: Show all pairs of languages, and not those with a difference only.
    """
    parts = [f"# Eleven statements of {_PAPER}\n", _overview(report).to_markdown()]
    parts += ["## As published\n", f"{_PUBLISHED}\n", *_sections(report.published)]
    level = 100 * (1 - report.alpha)
    parts += ["## In these runs\n", f"{_RUNS.format(alpha=report.alpha, level=level)}\n"]
    parts += _sections(report.runs, needs=True)
    parts += ["## Low-resource languages\n", *_low_resource(report, all_pairs=all_pairs)]
    parts += ["## What was read\n", "".join(f"- {line}\n" for line in _read(report))]
    return "\n".join(parts)


def _overview(report: ClaimsReport) -> Table:
    rows = [
        (str(one.statement.number), one.statement.text, _told(one), other.verdict)
        for one, other in zip(report.published, report.runs, strict=True)
    ]
    return Table(("no.", "statement", "as published", "in these runs"), tuple(rows), 4)


def _told(judgement: Judgement) -> str:
    """Return the verdict, by encoder where encoders differ."""
    found = judgement.by_encoder
    if len(set(found.values())) < 2:
        return judgement.verdict
    return ", ".join(f"{encoder}: {verdict}" for encoder, verdict in found.items())


def _sections(judgements: Sequence[Judgement], *, needs: bool = False) -> Iterator[str]:
    for judgement in judgements:
        statement = judgement.statement
        yield f"### {statement.number}. {statement.text}\n"
        told = f". Needs {statement.needs}." if needs else ""
        yield f"**{judgement.verdict}**{told}\n"
        yield "".join(f"- {_tell(line)}\n" for line in judgement.lines)


def _tell(line: Line) -> str:
    where = f"{line.subject}: " if line.subject else ""
    verdict = f"**{line.verdict}**" if line.counts else f"*beside: {line.verdict}*"
    return f"{where}{verdict}; {line.why}"


def _low_resource(report: ClaimsReport, *, all_pairs: bool) -> Iterator[str]:
    yield f"Low-resource: {' '.join(report.low_langs)}. {_LOW}\n"
    if not report.low_resource:
        yield (
            "Nothing to compare: no encoder with hybrid and other batches was evaluated in one of "
            "them.\n"
        )
        return
    yield f"In sum, {count_all(report.low_resource)}.\n"
    for part in report.low_resource:
        yield f"### {part.encoder}, {part.benchmark}: {' '.join(part.langs)}\n"
        yield "".join(f"- {line}\n" for line in summarize_low_resource(part))
        if part.by_language:
            yield language_table(part).to_markdown()
        yield from _pairs(part, all_pairs=all_pairs)


def _pairs(part: LowResource, *, all_pairs: bool) -> Iterator[str]:
    table = pair_table(part, shown_only=not all_pairs)
    if table.rows:
        yield table.to_markdown()
    if hidden := len(part.by_pair) - len(table.rows):
        yield f"{hidden:,} rows of pairs in which no difference is shown are in the folder of -o.\n"


def _read(report: ClaimsReport) -> Iterator[str]:
    evidence = report.evidence
    yield f"{len(evidence.trainings)} trainings, {len(evidence.evaluated)} evaluations"
    for trained in evidence.trained:
        seeds = ", ".join(
            f"{regime} {' '.join(str(t.seed) for t in trainings)}"
            for regime, trainings in trained.trainings.items()
        )
        yield f"{trained.label}: seeds by regime {seeds}"
    for compared in evidence.compared:
        if compared.settings:
            notes = dict.fromkeys(compared.settings.notes)
            yield from (f"{compared.trained.label}, {compared.benchmark}: {n}" for n in notes)
    yield f"{report.resamples:,} resamples, seed {report.seed}"
    yield from evidence.notes


def claims_record(report: ClaimsReport) -> dict[str, Any]:
    """Return the content of ``claims.json``."""
    return {
        "isoglot_version": __version__,
        "paper": _PAPER,
        "alpha": report.alpha,
        "resamples": report.resamples,
        "seed": report.seed,
        "statements": [{"number": s.number, "text": s.text, "needs": s.needs} for s in STATEMENTS],
        "as_published": [_judgement(judgement) for judgement in report.published],
        "in_runs": [_judgement(judgement) for judgement in report.runs],
        "low_resource": {
            "languages": list(report.low_langs),
            "parts": [_part(part) for part in report.low_resource],
        },
        "runs": _runs(report.evidence),
    }


def _judgement(judgement: Judgement) -> dict[str, Any]:
    return {
        "number": judgement.statement.number,
        "verdict": judgement.verdict,
        "by_encoder": judgement.by_encoder,
        "lines": [
            {
                "encoder": line.encoder,
                "benchmark": line.benchmark,
                "verdict": line.verdict,
                "counts": line.counts,
                "why": line.why,
                "figures": dict(line.figures),
            }
            for line in judgement.lines
        ],
    }


def _part(part: LowResource) -> dict[str, Any]:
    return {
        "encoder": part.encoder,
        "benchmark": part.benchmark,
        "languages": list(part.langs),
        "summary": list(summarize_low_resource(part)),
        "rows": [to_record(row) for row in part.rows],
    }


def _runs(evidence: Evidence) -> Mapping[str, Any]:
    return {
        "trainings": [
            {
                "folder": str(training.folder),
                "encoder": training.encoder,
                "published_encoder": training.known_encoder,
                "regime": training.regime,
                "monolingual_share": training.share,
                "seed": training.seed,
            }
            for training in evidence.trainings
        ],
        "evaluations": [
            {
                "folder": str(run.folder),
                "benchmark": run.benchmark,
                "training": str(run.training.folder) if run.training else None,
            }
            for run in evidence.evaluated
        ],
        "notes": list(evidence.notes),
    }
