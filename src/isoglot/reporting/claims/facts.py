"""Statements 1 to 7 judged by the files of runs; those about leaks are in ``leaks``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from isoglot.data.published_counts import LAREQA_COUNTS
from isoglot.evaluation.settings import SETTINGS
from isoglot.reporting.claims.coverage import tell_missing
from isoglot.reporting.claims.evidence import Evaluated, Evidence, Training
from isoglot.reporting.claims.leaks import judge_separate, judge_unseen
from isoglot.reporting.claims.statements import DOES_NOT_HOLD, HOLDS, NOT_TESTABLE, Line
from isoglot.reporting.claims.words import show_value, tell_count

__all__ = ["judge_facts", "primary_measure"]

_BENCHMARKS = (*LAREQA_COUNTS, "miracl")
_MINI = "miracl-mini"


def primary_measure(benchmark: str) -> str:
    """Return the measure that a benchmark is judged by: the paper's for it, AP for others."""
    return "nDCG@10" if benchmark.startswith("miracl") else "AP"


def judge_facts(evidence: Evidence) -> dict[int, list[Line]]:
    """Judge statements 1 to 7.

    Returns:
        Lines by the statement's number.
    """
    judges: dict[int, Callable[[Evidence], Iterator[Line]]] = {
        1: _batches,
        2: _benchmarks,
        3: _languages,
        4: judge_separate,
        5: judge_unseen,
        6: _measure,
        7: _pairs,
    }
    return {number: list(judge(evidence)) for number, judge in judges.items()}


def _batches(evidence: Evidence) -> Iterator[Line]:
    """Count the batches that hybrid trainings drew."""
    for trained in evidence.trained:
        if found := trained.trainings.get("hybrid"):
            yield _mix(trained.label, found)
    if not any("hybrid" in trained.trainings for trained in evidence.trained):
        why = "no training with hybrid batches among the runs; train with batches.regime: hybrid"
        yield Line(NOT_TESTABLE, why)


def _mix(encoder: str, trainings: Sequence[Training]) -> Line:
    drawn: Counter[str] = Counter()
    for training in trainings:
        drawn.update(training.census["drawn"]["batches"])
    kinds = {kind: drawn[kind] for kind in SETTINGS[:2]}
    share = kinds["monolingual"] / max(1, drawn.total())
    formats = sorted({source["format"] for t in trainings for source in t.config["data"]})
    why = (
        f"{kinds['monolingual']:,} monolingual and {kinds['cross-lingual']:,} cross-lingual "
        f"batches in {tell_count(len(trainings), 'training')}: share {share:.3f}, set to "
        f"{trainings[0].share:g}; data in layout {', '.join(formats)}"
    )
    figures = {"batches": kinds, "share": share, "trainings": len(trainings), "formats": formats}
    texts = "bitext" not in formats
    if not texts:
        why += "; bitext holds translations, not questions and answers"
    holds = all(kinds.values()) and texts
    return Line(HOLDS if holds else DOES_NOT_HOLD, why, figures, encoder)


def _benchmarks(evidence: Evidence) -> Iterator[Line]:
    """Say which benchmarks trained encoders were evaluated on, with the figures of hybrid."""
    done = [run for run in evidence.evaluated if run.training is not None]
    for name in (*_BENCHMARKS, *sorted({run.name for run in done} - set(_BENCHMARKS))):
        runs = [run for run in done if run.name == name]
        asked = name in _BENCHMARKS
        if not runs:
            why = f"no evaluation of a trained encoder on it; run isoglot evaluate -b {name}"
            yield Line(NOT_TESTABLE, why, benchmark=name)
            continue
        why = f"{tell_count(len(runs), 'evaluation')} of trained encoders"
        means = _means_of_hybrid(evidence, name)
        for label, found in means.items():
            told = ", ".join(f"{key} {show_value(value, '')}" for key, value in found.items())
            why += f"; {label} with hybrid batches, mean {primary_measure(name)}: {told}"
        figures = {"evaluations": len(runs), "hybrid": means}
        if name == _MINI:
            why += "; MIRACL-mini is cut from MIRACL and is not it: the figures do not compare"
        elif not asked:
            why += "; none of the three"
        fullest = max(runs, key=lambda run: len(run.metrics["query_langs"]))
        partial = tell_missing(name, fullest.metrics["query_langs"])
        if partial:
            why += f"; {partial} of the paper"
        verdict = HOLDS if asked and not partial else NOT_TESTABLE
        yield Line(verdict, why, figures, None, name, asked)


def _means_of_hybrid(evidence: Evidence, name: str) -> dict[str, dict[str, float]]:
    """Return the means of a benchmark over the hybrid trainings of each encoder.

    By the encoder's label, with the benchmark's where that has options.
    """
    found = {}
    for compared in evidence.compared:
        runs = [run for run in compared.evaluated.get("hybrid", ()) if run.name == name]
        if runs:
            label = compared.trained.label
            key = label if compared.benchmark == name else f"{label}, {compared.benchmark}"
            found[key] = _summary(runs, primary_measure(name))
    return found


def _summary(runs: Sequence[Evaluated], measure: str) -> dict[str, float]:
    """Average a measure over runs, by setting."""
    found = {}
    for setting in SETTINGS:
        values = [run.metrics["summary"].get(setting, {}).get(measure) for run in runs]
        known = [value for value in values if value is not None]
        if known and len(known) == len(values):
            found[setting] = sum(known) / len(known)
    return found


def _fullest(evidence: Evidence, name: str) -> Evaluated | None:
    """Return the evaluation that holds the benchmark's measure in most languages."""
    return max(
        (run for run in evidence.evaluated if run.name == name),
        key=lambda run: (
            primary_measure(name) in run.metrics["measures"],
            len(run.metrics["query_langs"]),
            len(run.metrics["passage_langs"]),
        ),
        default=None,
    )


def _restriction(run: Evaluated) -> str | None:
    """Say how many of a benchmark's languages were asked or searched, None if all were."""
    langs = [set(run.metrics[side]) for side in ("query_langs", "passage_langs")]
    counts = LAREQA_COUNTS[run.name].keys()
    if langs[0] | langs[1] <= counts and langs[0] & langs[1] < counts:
        return f"evaluated in {len(langs[0] & langs[1])} of {len(counts)} languages"
    return None


def _languages(evidence: Evidence) -> Iterator[Line]:
    """Count the languages, and the questions that are asked and answered in all of them."""
    for name, counts in LAREQA_COUNTS.items():
        run = _fullest(evidence, name)
        if run is None or run.benchmark not in evidence.parallelism:
            yield Line(NOT_TESTABLE, "no evaluation on it among the runs", benchmark=name)
            continue
        found = evidence.parallelism[run.benchmark]
        langs = run.metrics["query_langs"], run.metrics["passage_langs"]
        figures = {
            "query_langs": len(langs[0]),
            "passage_langs": len(langs[1]),
            "questions": found.questions,
            "asked_in_all": found.asked_in_all,
            "queries": found.queries,
            "answered_in_all": found.answered_in_all,
            "answer_langs": found.answer_langs,
        }
        why = (
            f"questions in {len(langs[0])} and passages in {len(langs[1])} languages; "
            f"{found.asked_in_all:,} of {found.questions:,} questions are asked in all, "
            f"{found.answered_in_all:,} of {found.queries:,} queries have an answer in all, on "
            f"average in {found.answer_langs:.2f}"
        )
        holds = (
            set(langs[0]) == set(langs[1]) == set(counts)
            and found.asked_in_all == found.questions
            and found.answered_in_all == found.queries
        )
        yield _of_all_languages(run, holds, why, figures)


def _of_all_languages(run: Evaluated, holds: bool, why: str, figures: Mapping[str, Any]) -> Line:
    """Return a line of a LAReQA benchmark, open if it was not evaluated in all languages."""
    if partial := _restriction(run):
        return Line(NOT_TESTABLE, f"{why}; {partial}", figures, benchmark=run.name)
    return Line(HOLDS if holds else DOES_NOT_HOLD, why, figures, benchmark=run.name)


def _measure(evidence: Evidence) -> Iterator[Line]:
    for name in LAREQA_COUNTS:
        runs = [run for run in evidence.evaluated if run.name == name]
        held = [run for run in runs if "AP" in run.metrics["measures"]]
        if not runs:
            yield Line(NOT_TESTABLE, "no evaluation on it among the runs", benchmark=name)
            continue
        why = f"{len(held)} of {tell_count(len(runs), 'evaluation')} hold AP"
        figures = {"evaluations": len(runs), "with_ap": len(held)}
        yield Line(HOLDS if held else DOES_NOT_HOLD, why, figures, benchmark=name)


def _pairs(evidence: Evidence) -> Iterator[Line]:
    """Count the pools for which AP was measured."""
    others = {run.name for run in evidence.evaluated} - set(LAREQA_COUNTS)
    for name in (*LAREQA_COUNTS, *sorted(others)):
        run = _fullest(evidence, name)
        if run is None:
            yield Line(NOT_TESTABLE, "no evaluation on it among the runs", benchmark=name)
            continue
        measure = primary_measure(name)
        found = Counter(row.setting for row in run.settings if row.measure == measure)
        counts = {setting: found[setting] for setting in SETTINGS}
        told = ", ".join(f"{count} {setting}" for setting, count in counts.items())
        why = f"{told} settings with {measure}"
        if name in LAREQA_COUNTS:
            langs = len(LAREQA_COUNTS[name])
            holds = (counts[SETTINGS[0]], counts[SETTINGS[1]]) == (langs, langs * (langs - 1))
            yield _of_all_languages(run, holds, why, counts)
        else:
            why += "; the statement is not about it"
            yield Line(NOT_TESTABLE, why, counts, benchmark=name, counts=False)
