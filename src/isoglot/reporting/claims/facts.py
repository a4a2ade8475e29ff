"""Statements 1 to 7 judged by the files of runs: batches, benchmarks, settings, leaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from isoglot.data.published_counts import LAREQA_COUNTS
from isoglot.evaluation.settings import SETTINGS
from isoglot.reporting.claims.evidence import Audit, Compared, Evaluated, Evidence, Training
from isoglot.reporting.claims.statements import DOES_NOT_HOLD, HOLDS, NOT_TESTABLE, Line
from isoglot.reporting.claims.words import show_value

__all__ = ["judge_facts", "primary_measure"]

_BENCHMARKS = (*LAREQA_COUNTS, "miracl")
_MINI = "miracl-mini"
_TEXTS = ("queries", "passages")


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
        4: _separate,
        5: _unseen_samples,
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
        f"batches in {_count(len(trainings), 'training')}: share {share:.3f}, set to "
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
        why = f"{_count(len(runs), 'evaluation')} of trained encoders"
        means = _means_of_hybrid(evidence, name)
        for label, found in means.items():
            told = ", ".join(f"{key} {show_value(value, '')}" for key, value in found.items())
            why += f"; {label} with hybrid batches, mean {primary_measure(name)}: {told}"
        figures = {"evaluations": len(runs), "hybrid": means}
        if name == _MINI:
            why += "; MIRACL-mini is cut from MIRACL and is not it: the figures do not compare"
        elif not asked:
            why += "; none of the three"
        yield Line(HOLDS if asked else NOT_TESTABLE, why, figures, None, name, asked)


def _means_of_hybrid(evidence: Evidence, name: str) -> dict[str, dict[str, float]]:
    """Return the means of a benchmark over the hybrid trainings of each encoder."""
    found = {}
    for compared in evidence.compared:
        runs = [run for run in compared.evaluated.get("hybrid", ()) if run.name == name]
        if runs:
            found[compared.trained.label] = _summary(runs, primary_measure(name))
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


def _first_of(evidence: Evidence, name: str) -> Evaluated | None:
    return next((run for run in evidence.evaluated if run.name == name), None)


def _languages(evidence: Evidence) -> Iterator[Line]:
    """Count the languages, and the questions that are asked and answered in all of them."""
    for name, counts in LAREQA_COUNTS.items():
        run = _first_of(evidence, name)
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
        yield Line(HOLDS if holds else DOES_NOT_HOLD, why, figures, benchmark=name)


def _measure(evidence: Evidence) -> Iterator[Line]:
    for name in LAREQA_COUNTS:
        runs = [run for run in evidence.evaluated if run.name == name]
        held = [run for run in runs if "AP" in run.metrics["measures"]]
        if not runs:
            yield Line(NOT_TESTABLE, "no evaluation on it among the runs", benchmark=name)
            continue
        why = f"{len(held)} of {_count(len(runs), 'evaluation')} hold AP"
        figures = {"evaluations": len(runs), "with_ap": len(held)}
        yield Line(HOLDS if held else DOES_NOT_HOLD, why, figures, benchmark=name)


def _pairs(evidence: Evidence) -> Iterator[Line]:
    """Count the pools for which AP was measured."""
    others = {run.name for run in evidence.evaluated} - set(LAREQA_COUNTS)
    for name in (*LAREQA_COUNTS, *sorted(others)):
        run, asked = _first_of(evidence, name), name in LAREQA_COUNTS
        if run is None:
            yield Line(NOT_TESTABLE, "no evaluation on it among the runs", benchmark=name)
            continue
        measure = primary_measure(name)
        found = Counter(row.setting for row in run.settings if row.measure == measure)
        counts = {setting: found[setting] for setting in SETTINGS}
        told = ", ".join(f"{count} {setting}" for setting, count in counts.items())
        why = f"{told} settings with {measure}"
        verdict = NOT_TESTABLE
        if asked:
            langs = len(LAREQA_COUNTS[name])
            holds = (counts[SETTINGS[0]], counts[SETTINGS[1]]) == (langs, langs * (langs - 1))
            verdict = HOLDS if holds else DOES_NOT_HOLD
        else:
            why += "; the statement is not about it"
        yield Line(verdict, why, counts, benchmark=name, counts=asked)


def _separate(evidence: Evidence) -> Iterator[Line]:
    """Look for shared files, then for more leaks than the threshold of the audit."""
    yield from _by_benchmark(evidence, _judge_separate)


def _unseen_samples(evidence: Evidence) -> Iterator[Line]:
    """Look for any leak at all."""
    yield from _by_benchmark(evidence, _judge_unseen)


_Judge = Callable[[Sequence[Evaluated], Mapping[str, Any]], tuple[str, str]]


def _by_benchmark(evidence: Evidence, judge: _Judge) -> Iterator[Line]:
    if not evidence.compared:
        yield Line(NOT_TESTABLE, "no evaluation of a trained encoder among the runs")
    for compared in evidence.compared:
        yield _audited(evidence, compared, judge)


def _audited(evidence: Evidence, compared: Compared, judge: _Judge) -> Line:
    """Judge one encoder on one benchmark by the files and by all audits that look for it."""
    name, encoder = compared.benchmark, compared.trained.label
    runs = [run for found in compared.evaluated.values() for run in found if run.training]
    trained = [(run, run.training) for run in runs if run.training]
    if shared := sorted({text for run, training in trained for text in _shared(run, training)}):
        why = f"a training reads a file of the benchmark: {', '.join(shared)}"
        return Line(DOES_NOT_HOLD, why, {"shared_files": shared}, encoder, name)
    audits = [_audits_of(training, run.name, evidence.audits) for run, training in trained]
    if missing := [pair for pair, found in zip(trained, audits, strict=True) if not found]:
        why = (
            f"no audit for it of {_count(len(missing), 'training')}; {_audit_command(*missing[0])}"
        )
        return Line(NOT_TESTABLE, why, {}, encoder, name)
    records = [
        _without_left_out(training, audit)
        for (_, training), found in zip(trained, audits, strict=True)
        for audit in found
    ]
    worst = max(records, key=lambda record: _leaking(record))
    verdict, why = judge(runs, worst)
    if not all(audit.named for found in audits for audit in found):
        why += "; the audit does not name its training data, and is taken for one of these runs"
    figures = {side: _figures(worst[side]) for side in _TEXTS}
    return Line(verdict, why, figures, encoder, name)


def _audit_command(run: Evaluated, training: Training) -> str:
    """Say how to look for the benchmark in what a training reads."""
    files = f" --benchmark-data {run.data}" if run.data else ""
    return (
        f"run isoglot audit {training.folder / 'config.yaml'} -b {run.name}{files} -o FOLDER and "
        "give FOLDER, too"
    )


def _shared(run: Evaluated, training: Training) -> Iterator[str]:
    """Yield what of the training is a file of the benchmark, as ``data.json`` names it."""
    for name, sha256 in training.files.items():
        # Where leaks are left out, the benchmark is read to find them.
        if sha256 in run.files.values() and not name.startswith("audit."):
            yield name


def _audits_of(training: Training, benchmark: str, others: Sequence[Audit]) -> list[Audit]:
    """Return the audits that look for a benchmark in all that a training reads.

    Those that lie with the training or its experiment, else those given besides; none if a data
    set was not looked at.
    """
    for audits in (training.audits, others):
        own = [
            audit
            for audit in audits
            if audit.benchmark == benchmark
            and (audit.sources is None or audit.sources & training.sources)
        ]
        seen = [training.sources if audit.sources is None else audit.sources for audit in own]
        if own and training.sources <= frozenset().union(*seen):
            return own
    return []


def _leaking(record: Mapping[str, Any]) -> int:
    return int(sum(record[side]["leaking"] for side in _TEXTS))


def _without_left_out(training: Training, audit: Audit) -> dict[str, Any]:
    """Return an audit's entry; what it found was not trained on if it was to be left out."""
    record = {"max_share": audit.max_share, "left_out": 0, **audit.record}
    if audit.folder != training.folder or not training.config["leave_out_leaks"]:
        return record
    clean = {side: {**record[side], "leaking": 0, "share": 0.0, "kinds": {}} for side in _TEXTS}
    return {**record, **clean, "exceeds": False, "left_out": _leaking(record)}


def _judge_separate(runs: Sequence[Evaluated], record: Mapping[str, Any]) -> tuple[str, str]:
    relation = "above" if record["exceeds"] else "not above"
    told = f"{_tell_leaks(record)}, {relation} {100 * record['max_share']:g} %"
    if record["exceeds"]:
        return DOES_NOT_HOLD, told
    if not all(run.files for run in runs):
        return NOT_TESTABLE, f"an evaluation has no hashes of its files to compare; {told}"
    return HOLDS, f"no file in both; {told}"


def _judge_unseen(runs: Sequence[Evaluated], record: Mapping[str, Any]) -> tuple[str, str]:
    del runs
    kinds = Counter[str]()
    for side in _TEXTS:
        kinds.update(record[side]["kinds"])
    told = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items() if count)
    why = _tell_leaks(record) + (f" ({told})" if told else "")
    why += "; of the split evaluated, and not of what the encoder itself was made from"
    return DOES_NOT_HOLD if _leaking(record) else HOLDS, why


def _tell_leaks(record: Mapping[str, Any]) -> str:
    told = ", ".join(
        f"{record[side]['leaking']:,} of {record[side]['texts']:,} {side} leak" for side in _TEXTS
    )
    short = sum(record[side]["too_short"] for side in _TEXTS)
    told += f" ({short:,} texts are too short to look for)" if short else ""
    left_out = record["left_out"]
    return told + (f" ({left_out:,} were found and left out of training)" if left_out else "")


def _figures(side: Mapping[str, Any]) -> dict[str, Any]:
    return {key: side[key] for key in ("texts", "leaking", "share", "kinds")}


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" + ("" if number == 1 else "s")
