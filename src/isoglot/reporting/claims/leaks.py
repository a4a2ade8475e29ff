"""Statements 4 and 5 judged by hashes of files and by audits of the training data."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from isoglot.reporting.claims.evidence import Audit, Compared, Evaluated, Evidence, Training
from isoglot.reporting.claims.statements import DOES_NOT_HOLD, HOLDS, NOT_TESTABLE, Line
from isoglot.reporting.claims.words import tell_count

__all__ = ["judge_separate", "judge_unseen"]

_TEXTS = ("queries", "passages")


def judge_separate(evidence: Evidence) -> Iterator[Line]:
    """Look for shared files, then for more leaks than the threshold of the audit."""
    yield from _by_benchmark(evidence, _below_threshold)


def judge_unseen(evidence: Evidence) -> Iterator[Line]:
    """Look for any leak at all."""
    yield from _by_benchmark(evidence, _without_leaks)


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
        which = tell_count(len(missing), "training")
        why = f"no audit for it of {which}; {_audit_command(*missing[0])}"
        return Line(NOT_TESTABLE, why, {}, encoder, name)
    records = [
        _add_up(training, found) for (_, training), found in zip(trained, audits, strict=True)
    ]
    worst = max(records, key=lambda record: (record["exceeds"], _leaking(record)))
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


def _add_up(training: Training, audits: Sequence[Audit]) -> dict[str, Any]:
    """Return what all audits of a training found of a benchmark.

    An audit of all its data says it, the worst of several; those of parts are added up. The same
    text may leak from two parts, so that the sum is an upper bound.
    """
    by_data: dict[frozenset[str], list[dict[str, Any]]] = defaultdict(list)
    for audit in audits:
        data = training.sources if audit.sources is None else audit.sources & training.sources
        by_data[data].append(_without_left_out(training, audit))
    worst = {
        data: max(records, key=lambda record: (record["exceeds"], _leaking(record)))
        for data, records in by_data.items()
    }
    if training.sources in worst:
        return {**worst[training.sources], "audits": 1}
    return _sum_records(list(worst.values()))


def _sum_records(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Add up the leaks of audits of one benchmark."""
    sides = {side: _sum_sides([record[side] for record in records]) for side in _TEXTS}
    limit = min(record["max_share"] for record in records)
    return {
        **records[0],
        **sides,
        "exceeds": any(record["exceeds"] for record in records)
        or any(side["share"] > limit for side in sides.values()),
        "max_share": limit,
        "left_out": sum(record["left_out"] for record in records),
        "audits": len(records),
    }


def _sum_sides(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Add up what leaks of the queries, or of the passages, which are the same in all parts."""
    texts = max(part["texts"] for part in parts)
    leaking = min(texts, sum(part["leaking"] for part in parts))
    kinds = Counter[str]()
    for part in parts:
        kinds.update(part["kinds"])
    return {
        "texts": texts,
        "leaking": leaking,
        "share": leaking / max(1, texts),
        "too_short": max(part["too_short"] for part in parts),
        "kinds": dict(kinds),
    }


def _without_left_out(training: Training, audit: Audit) -> dict[str, Any]:
    """Return an audit's entry; what it found was not trained on if it was to be left out."""
    record = {"max_share": audit.max_share, "left_out": 0, **audit.record}
    if audit.folder != training.folder or not training.config["leave_out_leaks"]:
        return record
    clean = {side: {**record[side], "leaking": 0, "share": 0.0, "kinds": {}} for side in _TEXTS}
    return {**record, **clean, "exceeds": False, "left_out": _leaking(record)}


def _below_threshold(runs: Sequence[Evaluated], record: Mapping[str, Any]) -> tuple[str, str]:
    relation = "above" if record["exceeds"] else "not above"
    told = f"{_tell_leaks(record)}, {relation} {100 * record['max_share']:g} %"
    if record["exceeds"]:
        return DOES_NOT_HOLD, told
    if not all(run.files for run in runs):
        return NOT_TESTABLE, f"an evaluation has no hashes of its files to compare; {told}"
    return HOLDS, f"no file in both; {told}"


def _without_leaks(runs: Sequence[Evaluated], record: Mapping[str, Any]) -> tuple[str, str]:
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
    if record["audits"] > 1:
        told += f" (at most: {record['audits']} audits of parts of the data, added up)"
    left_out = record["left_out"]
    return told + (f" ({left_out:,} were found and left out of training)" if left_out else "")


def _figures(side: Mapping[str, Any]) -> dict[str, Any]:
    return {key: side[key] for key in ("texts", "leaking", "share", "kinds")}
