"""Trainings, evaluations and audits found below given folders, and read.

A folder is known by its files and its completion marker, not by its name: experiments, single
runs and folders of them are gone through alike. What is not complete is named and left out.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from isoglot.artifacts import COMPLETE, is_complete, read_json, read_yaml
from isoglot.config.loading import parse_config
from isoglot.config.schema import ModelConfig, TrainConfig
from isoglot.errors import ArtifactError, DataError
from isoglot.evaluation.evaluate import SettingRow
from isoglot.evaluation.outputs import (
    METRICS,
    PER_QUERY_TABLE,
    RANKS_TABLE,
    SETTINGS_TABLE,
    read_table,
)
from isoglot.reporting.claims.evidence import Audit, Evaluated, Parallelism, Training
from isoglot.reporting.published import papers_encoder, published_encoder

__all__ = ["FoundRuns", "find_runs", "read_parallelism"]

_CENSUS = "census.json"
_CONFIG = "config.yaml"
_AUDIT = "audit.json"
_PROVENANCE = "provenance.json"
_BELOW = {"evaluation": ("runs", "qrels"), "training": ("model", "checkpoints", "tracking")}
_SIZES = {
    "xlm-roberta-base": ("xlm-roberta", 12),
    "xlm-roberta-large": ("xlm-roberta", 24),
    "LaBSE": ("bert", 12),
}
"""Type and layers of the paper's encoders; a cut or random one is called the same and is not it."""
_NO_RUNS = ("unfinished", "unreadable")


@dataclass
class FoundRuns:
    """What lies below the given folders."""

    trainings: list[Training] = field(default_factory=list)
    evaluated: list[Evaluated] = field(default_factory=list)
    audits: list[Audit] = field(default_factory=list)
    """Those that do not lie with a training or an experiment."""
    notes: list[str] = field(default_factory=list)


def find_runs(paths: Sequence[Path]) -> FoundRuns:
    """Find and read all complete runs.

    Args:
        paths: Folders of experiments, trainings, evaluations or audits, or folders that hold some.

    Raises:
        ArtifactError: If a path is no folder, holds no complete run, or a file is damaged.
        ConfigError: If the config of a training is not one that this version can read.
        DataError: If two evaluations on one benchmark were made from different files.
    """
    found, left_out = FoundRuns(), []
    folders: dict[Path, str] = {}
    for path in paths:
        held = dict(_folders(path))
        if all(kind in _NO_RUNS for kind in held.values()):
            raise ArtifactError(
                f"{path}: no complete run found; give folders of isoglot experiment, train, "
                "evaluate or audit, or one that holds them"
            )
        folders |= {folder.resolve(): kind for folder, kind in held.items()}
    for folder, kind in sorted(folders.items()):
        if kind == "unfinished":
            left_out.append(folder)
        elif kind == "unreadable":
            found.notes.append(f"{_CONFIG} holds no keys, left out: {folder}")
        elif kind == "audit":
            found.audits += _read_audits(folder, named=False)
        elif kind == "training":
            _add_training(found, folder)
    evaluations = [folder for folder, kind in sorted(folders.items()) if kind == "evaluation"]
    runs = [_read_run(folder, found.trainings) for folder in evaluations]
    found.evaluated += _name_benchmarks([run for run in runs if not _is_stale(run)])
    found.notes += [
        f"older than the model that lies there now, left out: {run.folder}"
        for run in runs
        if _is_stale(run)
    ]
    _check_files(found.evaluated)
    if left_out:
        found.notes.append(f"not complete, left out: {', '.join(map(str, left_out))}")
    return found


def _folders(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield the folders at and below a path that are runs, with their kind."""
    if not path.is_dir():
        what = "a file" if path.is_file() else "no such folder"
        raise ArtifactError(f"{path}: {what}; give folders of runs")
    for name, below, files in os.walk(path):
        kind = _kind(Path(name), set(files))
        if kind is not None:
            done = kind in _NO_RUNS or is_complete(Path(name))
            yield Path(name), kind if done else "unfinished"
            below[:] = [folder for folder in below if folder not in _BELOW.get(kind, ())]
        below.sort()


def _kind(folder: Path, files: set[str]) -> str | None:
    """Say what a folder is by its files; an evaluation that was broken off has its config alone."""
    if {METRICS, PER_QUERY_TABLE, SETTINGS_TABLE} <= files:
        return "evaluation"
    if {_CENSUS, _CONFIG} <= files:
        return "training"
    if _CONFIG in files:
        try:
            keys = read_yaml(folder / _CONFIG).keys()
        except ArtifactError:  # of whatever else has a file of that name
            return "unreadable"
        begun = not is_complete(folder) and {"model", "evaluation"} <= keys
        return "evaluation" if begun else None
    return "audit" if _AUDIT in files else None


def _add_training(found: FoundRuns, folder: Path) -> None:
    """Read a training; an alignment makes an encoder, and is not what the statements are about."""
    stored = read_yaml(folder / _CONFIG)
    if "token_dropout" in stored:
        found.notes.append(f"an alignment, left out: {folder}")
        return
    # Read strictly, so that what an older version has not written is filled in.
    config = parse_config(TrainConfig, stored, where=str(folder / _CONFIG)).model_dump(mode="json")
    census = read_json(folder / _CENSUS)
    if not isinstance(census, dict) or "drawn" not in census:
        raise ArtifactError(f"{folder / _CENSUS}: does not say what was drawn; train again")
    experiment = _experiment_of(folder)
    audits = [
        audit
        for at in (folder, experiment)
        if at is not None and (at / _AUDIT).is_file()
        for audit in _read_audits(at, named=True)
    ]
    label = folder.parents[1].name if experiment else _short_name(config["model"]["name"])
    known = _known_encoder(config["model"]["name"], folder / "model")
    name = published_encoder(config["model"]["name"])
    if known is None and name != config["model"]["name"]:
        found.notes.append(
            f"named like {name}, but it is not called {', '.join(_SIZES)}, or its model is not "
            f"there or not of that size, so it does not count as {name}: {folder}"
        )
    files = read_json(folder / "data.json")
    cell = folder.parent.name.rpartition("-seed")[0] if experiment else None
    found.trainings.append(
        Training(folder, label, known, config, census, files, tuple(audits), cell)
    )


def _experiment_of(folder: Path) -> Path | None:
    """Return the experiment whose cell a training is: EXPERIMENT/ENCODER/CELL/train."""
    if folder.name != "train" or len(folder.parents) < 3:
        return None
    file = folder.parents[2] / _CONFIG
    try:
        return file.parent if file.is_file() and "encoders" in read_yaml(file) else None
    except ArtifactError:
        return None


def _short_name(name: str) -> str:
    parts = [part for part in name.split("/") if part and part != "model"]
    return parts[-1] if parts else name


def _known_encoder(name: str, model: Path) -> str | None:
    """Say whether an encoder is one of the paper's: by its name and by what was trained."""
    known = papers_encoder(name)
    if known is None:
        return None
    size = _SIZES[name.rpartition("/")[2]]
    for file in sorted({*model.glob("config.json"), *model.glob("*/config.json")}):
        values = read_json(file)
        if (values.get("model_type"), values.get("num_hidden_layers")) == size:
            return known
    return None


def _read_audits(folder: Path, *, named: bool) -> list[Audit]:
    """Read an ``audit.json``; that of an experiment has a benchmark once for each set of texts."""
    record = read_json(folder / _AUDIT)
    try:
        entries, audited = record["benchmarks"], record.get("audited")
        sources: list[frozenset[str] | None] = [None] * len(entries)
        if audited is not None:
            times = len(audited["collections"])
            sources = [_sources(text) for text in audited["texts"] for _ in range(times)]
        return [
            Audit(folder, entry["benchmark"], entry, record["max_share"], found, named)
            for entry, found in zip(entries, sources, strict=True)
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{folder / _AUDIT}: is no audit; run isoglot audit again") from error


def _sources(text: Mapping[str, Any]) -> frozenset[str]:
    """Name data sets as ``Training.sources`` does."""
    return frozenset(json.dumps([s, text["languages"]], sort_keys=True) for s in text["data"])


def _read_run(folder: Path, trainings: Sequence[Training]) -> Evaluated:
    metrics = read_json(folder / METRICS)
    needed = {"benchmark", "summary", "measures", "query_langs", "passage_langs"}
    if missing := needed - metrics.keys():
        raise ArtifactError(
            f"{folder / METRICS}: does not hold {', '.join(sorted(missing))}; evaluate again"
        )
    config = read_yaml(folder / _CONFIG) if (folder / _CONFIG).is_file() else {}
    provenance = read_json(folder / _PROVENANCE)
    name, model = metrics["benchmark"], config.get("model")
    if model is not None:  # with every default, so that it can be compared with a training's
        model = parse_config(ModelConfig, model, where=str(folder / _CONFIG)).model_dump(
            mode="json"
        )
    return Evaluated(
        folder=folder,
        benchmark=name,
        name=name,
        model=model,
        metrics=metrics,
        settings=_read_settings(folder / SETTINGS_TABLE),
        files=provenance.get("data_sha256") or {},
        data=(config.get("evaluation") or {}).get("data"),
        training=_training_of(folder, model, trainings),
    )


def _read_settings(file: Path) -> tuple[SettingRow, ...]:
    table = read_table(file, SettingRow._fields)
    if missing := set(SettingRow._fields) - set(table.column_names):
        raise DataError(f"{file}: has no column {min(missing)!r}; evaluate again")
    return tuple(SettingRow(**row) for row in table.to_pylist())


def _training_of(
    folder: Path, model: Mapping[str, Any] | None, trainings: Sequence[Training]
) -> Training | None:
    """Return the training of an evaluation's model: where it lies, or beside it in a cell.

    With prompts or another option it is another system, and of no training.
    """
    if model is None or any(value for key, value in model.items() if key != "name"):
        return None
    path = Path(model["name"])
    for training in trainings:
        if path.resolve() in (training.folder, training.folder / "model"):
            return training
        # The folder of an experiment may have been moved since.
        if training.folder == folder.parent / "train" and path.parts[-3:] == (
            *training.folder.parts[-2:],
            "model",
        ):
            return training
    return None


def _is_stale(run: Evaluated) -> bool:
    """Whether the model was trained again after it was evaluated."""
    if run.training is None:
        return False
    evaluated, trained = _completed(run.folder), _completed(run.training.folder)
    return evaluated is not None and trained is not None and evaluated < trained


def _completed(folder: Path) -> datetime | None:
    """Return when a run was complete, None if its marker does not say so."""
    try:
        found = datetime.fromisoformat((folder / COMPLETE).read_text("utf-8").strip())
    except (OSError, ValueError):
        return None
    return found if found.tzinfo else None


def _name_benchmarks(runs: Sequence[Evaluated]) -> list[Evaluated]:
    """Tell benchmarks of one name apart by their options and languages, where these differ."""
    for tell in (_options, _languages):
        told: dict[str, set[str]] = defaultdict(set)
        for run in runs:
            told[run.benchmark].add(tell(run))
        runs = [
            replace(run, benchmark=f"{run.benchmark} ({tell(run)})")
            if len(told[run.benchmark]) > 1
            else run
            for run in runs
        ]
    return list(runs)


def _options(run: Evaluated) -> str:
    values = dict(run.metrics.get("options") or {})
    return ", ".join(f"{key} {word}" for key, word in sorted(values.items())) or "default"


def _languages(run: Evaluated) -> str:
    return " ".join(sorted({*run.metrics["query_langs"], *run.metrics["passage_langs"]}))


def _check_files(runs: Sequence[Evaluated]) -> None:
    """Refuse evaluations that bear one name and were made from different files."""
    first: dict[str, Evaluated] = {}
    for run in (run for run in runs if run.files):
        other = first.setdefault(run.benchmark, run)
        if sorted(run.files.values()) != sorted(other.files.values()):
            raise DataError(
                f"{other.folder} and {run.folder} were measured on different files of "
                f"{run.benchmark}; give the runs of one of them"
            )


def read_parallelism(run: Evaluated) -> Parallelism:
    """Count the questions asked, and the queries answered, in all languages.

    Raises:
        ArtifactError: If the ranks are missing or damaged.
        DataError: If they lack a column.
    """
    names = ("query_lang", "query_id", "passage_lang", "relevance")
    file = run.folder / RANKS_TABLE
    table = read_table(file, names)
    if missing := [name for name in names if name not in table.column_names]:
        raise DataError(f"{file}: has no column {missing[0]!r}; evaluate again")
    asked: dict[str, set[str]] = defaultdict(set)
    answers: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in table.to_pylist():
        if row["relevance"] > 0:
            asked[row["query_id"]].add(row["query_lang"])
            answers[row["query_lang"], row["query_id"]].add(row["passage_lang"])
    langs, passage_langs = len(run.metrics["query_langs"]), len(run.metrics["passage_langs"])
    return Parallelism(
        questions=len(asked),
        asked_in_all=sum(len(found) == langs for found in asked.values()),
        answered_in_all=sum(len(found) == passage_langs for found in answers.values()),
        queries=len(answers),
        answer_langs=sum(map(len, answers.values())) / max(1, len(answers)),
    )
