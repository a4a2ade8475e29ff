"""Runs to verdicts on the paper's statements: what is compared with what, and the folder written.

The verdicts themselves are in ``reporting.claims``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from isoglot.artifacts import (
    PROVENANCE,
    file_sha256,
    mark_complete,
    prepare_folder,
    provenance,
    refuse_other_results,
    write_json,
    write_text,
)
from isoglot.data.published_counts import LAREQA_COUNTS
from isoglot.errors import DataError
from isoglot.evaluation.outputs import PER_QUERY_TABLE
from isoglot.evaluation.significance import RESAMPLES, check_resamples
from isoglot.languages import LOW_RESOURCE, normalize_languages
from isoglot.pipeline.claims_groups import group_trainings
from isoglot.pipeline.claims_runs import FoundRuns, find_runs, read_parallelism
from isoglot.pipeline.comparison import ComparisonOptions, System, run_comparison
from isoglot.reporting.claims.as_published import judge_published
from isoglot.reporting.claims.effects import judge_effects
from isoglot.reporting.claims.evidence import REGIMES, Compared, Evaluated, Evidence, Trained
from isoglot.reporting.claims.facts import judge_facts, primary_measure
from isoglot.reporting.claims.low_resource import select_low_resource
from isoglot.reporting.claims.page import ClaimsReport, claims_markdown, claims_record
from isoglot.reporting.claims.statements import STATEMENTS, Judgement
from isoglot.reporting.claims.words import turn
from isoglot.reporting.differences import Difference, DifferenceReport
from isoglot.reporting.tables import UNTRAINED

__all__ = ["ClaimsOptions", "check_claims", "check_claims_folder", "write_claims"]

_RECORD = "claims.json"
_PAGE = "claims.md"
_BM25 = "bm25"


@dataclass(frozen=True)
class ClaimsOptions:
    """How to test, and which languages are low-resource."""

    low_resource: tuple[str, ...] = LOW_RESOURCE
    alpha: float = 0.05
    resamples: int = RESAMPLES
    seed: int = 0


def check_claims(paths: Sequence[Path], options: ClaimsOptions) -> ClaimsReport:
    """Judge the eleven statements, by the published tables and, apart from them, by runs.

    Args:
        paths: Folders of runs, or folders that hold some.
        options: How to test.

    Raises:
        ArtifactError: If there is no complete run, or one is damaged.
        ConfigError: If a config, a language or an option cannot be used.
        DataError: If runs do not belong together.
    """
    check_resamples(options.resamples, options.alpha)
    langs = normalize_languages(options.low_resource, "low-resource languages")
    evidence = _gather(find_runs(paths), options)
    lines = judge_facts(evidence) | judge_effects(evidence)
    return ClaimsReport(
        published=judge_published(),
        runs=[Judgement(statement, lines[statement.number]) for statement in STATEMENTS],
        low_resource=select_low_resource(evidence.compared, langs),
        low_langs=langs,
        evidence=evidence,
        alpha=options.alpha,
        resamples=options.resamples,
        seed=options.seed,
    )


def check_claims_folder(folder: Path, *, overwrite: bool = False) -> None:
    """Refuse a folder that holds other results; to be called before anything is computed.

    Raises:
        ArtifactError: If it does, or holds complete claims and ``overwrite`` is false.
    """
    refuse_other_results(folder, _RECORD, overwrite=overwrite)


def write_claims(report: ClaimsReport, folder: Path, *, overwrite: bool = False) -> None:
    """Write the folder of the claims: record, page, provenance and, last, the marker.

    Raises:
        ArtifactError: If the folder holds other results or cannot be written.
    """
    check_claims_folder(folder, overwrite=overwrite)
    prepare_folder(folder, overwrite=overwrite)
    write_json(folder / _RECORD, claims_record(report))
    write_text(folder / _PAGE, claims_markdown(report))
    files = [run.folder / PER_QUERY_TABLE for run in report.evidence.evaluated]
    files += [training.folder / "census.json" for training in report.evidence.trainings]
    hashes = {str(file): file_sha256(file) for file in files}
    write_json(folder / PROVENANCE, provenance(seeds={"resampling": report.seed}, data=hashes))
    mark_complete(folder)


def _gather(found: FoundRuns, options: ClaimsOptions) -> Evidence:
    """Group the trainings, and test every group on every benchmark."""
    trained, notes = group_trainings(found.trainings)
    judged = [run for run in found.evaluated if _has_measure(run)]
    notes += [
        f"holds no {primary_measure(run.name)}, by which {run.name} is judged; not compared: "
        f"{run.folder}"
        for run in found.evaluated
        if not _has_measure(run)
    ]
    compared = [
        _compare(group, benchmark, runs, judged, options)
        for group in trained
        for benchmark, runs in _evaluations_of(group, judged).items()
    ]
    parallel = {run.benchmark: run for run in found.evaluated if run.name in LAREQA_COUNTS}
    return Evidence(
        trained=trained,
        trainings=found.trainings,
        evaluated=found.evaluated,
        parallelism={name: read_parallelism(run) for name, run in parallel.items()},
        audits=found.audits,
        compared=compared,
        notes=[*found.notes, *notes, *_others(found, trained)],
    )


def _others(found: FoundRuns, trained: Sequence[Trained]) -> Iterator[str]:
    """Say how many evaluations are of no training among the runs, and of no reference."""
    models = [_model_of(group) for group in trained]
    other = [
        run.folder
        for run in found.evaluated
        if run.training is None
        and (run.model or {}).get("name") != _BM25
        and run.model not in models
    ]
    if other:
        yield (
            f"{len(other)} evaluations are of models whose training is not among the runs, or of "
            f"models changed after it, and were not compared; the first: {other[0]}"
        )


def _model_of(group: Trained) -> Mapping[str, object]:
    """Return the encoder that a group's trainings started from."""
    model: Mapping[str, object] = next(iter(group.trainings.values()))[0].config["model"]
    return model


def _evaluations_of(
    group: Trained, evaluated: Sequence[Evaluated]
) -> dict[str, dict[str, tuple[Evaluated, ...]]]:
    """Return the evaluations of a group by benchmark and regime, in the order of the seeds.

    Raises:
        DataError: If a model was measured twice on a benchmark.
    """
    regimes = {
        training.folder: (regime, place)
        for regime in REGIMES
        for place, training in enumerate(group.trainings.get(regime, ()))
    }
    found: dict[str, dict[tuple[str, int], Evaluated]] = defaultdict(dict)
    for run in evaluated:
        if run.training is None or run.training.folder not in regimes:
            continue
        key = regimes[run.training.folder]
        other = found[run.benchmark].setdefault(key, run)
        if other is not run:
            raise DataError(
                f"{other.folder} and {run.folder} are of one model on {run.benchmark}; "
                "give one of them"
            )
    return {
        benchmark: {
            regime: tuple(runs[key] for key in sorted(runs) if key[0] == regime)
            for regime in REGIMES
            if any(key[0] == regime for key in runs)
        }
        for benchmark, runs in found.items()
    }


def _compare(
    group: Trained,
    benchmark: str,
    regimes: Mapping[str, tuple[Evaluated, ...]],
    evaluated: Sequence[Evaluated],
    options: ClaimsOptions,
) -> Compared:
    """Test hybrid against the other regimes, the encoder as it comes, and BM25."""
    references = _references(group, benchmark, evaluated)
    measure = primary_measure(next(iter(regimes.values()))[0].name)
    hybrid = regimes.get("hybrid", ())
    others = {name: runs for name, runs in regimes.items() if name != "hybrid"}
    asked = _Asked(measure, hybrid, options)
    langs = {lang for run in hybrid for lang in run.metrics["query_langs"]}
    seen = {lang for run in hybrid if run.training for lang in run.training.languages}
    return Compared(
        trained=group,
        benchmark=benchmark,
        measure=measure,
        evaluated={**regimes, **references},
        settings=asked.against(others, languages=False),
        details=asked.against(others, pools=True),
        references=asked.against(references),
        unseen=tuple(sorted(langs - seen)),
    )


def _references(
    group: Trained, benchmark: str, evaluated: Sequence[Evaluated]
) -> dict[str, tuple[Evaluated, ...]]:
    """Return the first evaluation of the encoder as it comes, and of BM25."""
    own = [run for run in evaluated if run.benchmark == benchmark and run.training is None]
    found = {
        UNTRAINED: [run for run in own if run.model == _model_of(group)],
        _BM25: [run for run in own if (run.model or {}).get("name") == _BM25],
    }
    return {name: (runs[0],) for name, runs in found.items() if runs}


def _has_measure(run: Evaluated) -> bool:
    """Whether a run can be judged at all: another measure would be another question."""
    return primary_measure(run.name) in run.metrics["measures"]


@dataclass(frozen=True)
class _Asked:
    """Hybrid on one benchmark, to be compared with others."""

    measure: str
    hybrid: tuple[Evaluated, ...]
    options: ClaimsOptions

    def against(
        self,
        others: Mapping[str, tuple[Evaluated, ...]],
        *,
        languages: bool = True,
        pools: bool = False,
    ) -> DifferenceReport | None:
        """Test hybrid against each of the others; None if there is nothing to compare."""
        if not (self.hybrid and others):
            return None
        options = ComparisonOptions(
            measure=self.measure,
            languages=languages,
            pools=pools,
            alpha=self.options.alpha,
            resamples=self.options.resamples,
            seed=self.options.seed,
        )
        named = {"hybrid": self.hybrid, **others}
        systems = [System(name, tuple(r.folder for r in runs)) for name, runs in named.items()]
        report = run_comparison(systems, options)  # the first is what all are compared with
        rows = [turn(row) for row in report.rows]
        if languages:
            rows = [self._named(row) for row in rows]
        return replace(report, rows=tuple(rows))

    def _named(self, row: Difference) -> Difference:
        """Name the language of a setting that has one; its row is the setting's."""
        figure = row.figure
        settings = self.hybrid[0].settings
        langs = {each.query_lang for each in settings if each.setting == figure.setting}
        if figure.query_lang is not None or len(langs) != 1:
            return row
        return replace(row, figure=replace(figure, query_lang=langs.pop()))
