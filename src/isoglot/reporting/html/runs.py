"""What the report reads of one evaluation's folder, and what may stand on one page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from isoglot.artifacts import is_complete, read_json
from isoglot.errors import ArtifactError, ConfigError, DataError
from isoglot.evaluation.measures import parse_measure
from isoglot.evaluation.outputs import METRICS, StoredEvaluation, read_evaluation
from isoglot.reporting.examples import EXAMPLES
from isoglot.reporting.html.intervals import Estimate, RunValues, estimate, split_values

__all__ = ["ReportRun", "check_comparable", "choose_measure", "name_runs", "read_run"]

_EXAMPLE_KEYS = {"query_lang", "query_id", "query", "measure", "value", "answer", "above"}


@dataclass(frozen=True)
class ReportRun:
    """One evaluation under the name it has on the page."""

    label: str
    evaluation: StoredEvaluation
    provenance: Mapping[str, Any]
    examples: Sequence[Mapping[str, Any]] | None
    """The records of ``examples.jsonl``; None if the folder has no such file."""

    @property
    def metrics(self) -> Mapping[str, Any]:
        """The content of ``metrics.json``."""
        return self.evaluation.metrics

    @property
    def bias(self) -> Mapping[str, Any]:
        """The bias figures; what an older version did not write is not there."""
        bias: Mapping[str, Any] = self.metrics["bias"]
        return bias

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures of all settings, in their order."""
        return tuple(dict.fromkeys(row.measure for row in self.evaluation.settings))

    @cached_property
    def values(self) -> RunValues:
        """The values of every query."""
        return split_values(self.evaluation.per_query, self.measures)

    @cached_property
    def estimates(self) -> dict[tuple[str, str], Estimate]:
        """By setting and measure, the figure and its interval."""
        return estimate(self.values)


def read_run(label: str, folder: Path) -> ReportRun:
    """Read an evaluation's folder.

    Raises:
        ArtifactError: If it is no folder of a complete evaluation, or a file is damaged.
        DataError: If a line of ``examples.jsonl`` is malformed.
    """
    if not folder.is_dir():
        raise ArtifactError(f"{folder}: no such folder; name the folder of an evaluation")
    if not is_complete(folder):
        raise ArtifactError(
            f"{folder}: has no file COMPLETE, so it is no evaluation or an unfinished one; "
            "run isoglot evaluate again"
        )
    if not (folder / METRICS).is_file():
        raise ArtifactError(
            f"{folder}: has no metrics.json; name a folder that isoglot evaluate wrote"
        )
    evaluation = read_evaluation(folder)
    provenance = read_json(folder / "provenance.json")
    return ReportRun(label, evaluation, provenance, _read_examples(folder / EXAMPLES))


def name_runs(named: Sequence[tuple[str | None, Path]]) -> list[ReportRun]:
    """Read runs and give every one a name: the given one, else its model's, else its folder's.

    Raises:
        ConfigError: If there are no runs, or two have one name.
        IsoglotError: If one cannot be read.
    """
    if not named:
        raise ConfigError("no runs; name one or more folders that isoglot evaluate wrote")
    runs = [read_run(label or "", folder) for label, folder in named]
    models = [_short(str(run.metrics["model"])) for run in runs]
    times = Counter(models)
    labels = [
        run.label or (model if times[model] == 1 else folder.resolve().name)
        for run, model, (_, folder) in zip(runs, models, named, strict=True)
    ]
    for label, count in Counter(labels).items():
        if count > 1:
            raise ConfigError(
                f"{count} runs are named {label!r}; give each its own name, as in NAME=FOLDER"
            )
    return [
        ReportRun(label, run.evaluation, run.provenance, run.examples)
        for label, run in zip(labels, runs, strict=True)
    ]


def check_comparable(runs: Sequence[ReportRun]) -> None:
    """Refuse runs on different collections, or of different depth.

    Raises:
        ConfigError: If rankings are known to different depths: the shorter has lower figures.
        DataError: If benchmark, options, or numbers of queries or passages differ.
    """
    first = runs[0]
    for run in runs[1:]:
        for key in ("benchmark", "options", "queries", "passages"):
            one, other = first.metrics.get(key), run.metrics.get(key)
            if one != other:
                raise DataError(
                    f"a report is about one benchmark, but {key} is {_show(one)} in {first.label} "
                    f"and {_show(other)} in {run.label}; make a report for each"
                )
        _check_depth(run, first)


def _check_depth(run: ReportRun, first: ReportRun) -> None:
    depths = [run_.metrics.get("depth") for run_ in (first, run)]
    if depths[0] != depths[1]:
        one, other = ("full" if depth is None else f"{depth:,}" for depth in depths)
        raise ConfigError(
            f"{first.label} and {run.label} were measured to different depths: {one} and {other}; "
            "evaluate both from runs of one depth with --depth, or both in full"
        )


def choose_measure(runs: Sequence[ReportRun], measure: str | None) -> str:
    """Return the measure the page is about: the given one, else AP, else the first of all runs.

    Raises:
        ConfigError: If the measure is no measure.
        DataError: If a run does not hold it, or the runs have no measure in common.
    """
    if measure is None:
        held = [name for name in runs[0].measures if all(name in run.measures for run in runs)]
        if not held:
            raise DataError("the runs have no measure in common; evaluate them with one")
        return "AP" if "AP" in held else held[0]
    name = str(parse_measure(measure))
    for run in runs:
        if name not in run.measures:
            raise DataError(
                f"{run.label} does not hold {name}; choose one of {', '.join(run.measures)}, "
                f"or evaluate with --measure {name}"
            )
    return name


def _read_examples(path: Path) -> list[dict[str, Any]] | None:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path}: cannot be read ({error})") from error
    records = []
    # Not splitlines(): texts may hold other separators of lines, which JSON leaves as they are.
    for number, line in enumerate(text.split("\n"), 1):
        if line:
            try:
                record = json.loads(line)
            except ValueError as error:
                raise DataError(f"{path}:{number}: not valid JSON ({error})") from error
            if not isinstance(record, dict) or not record.keys() >= _EXAMPLE_KEYS:
                raise DataError(
                    f"{path}:{number}: a record needs {', '.join(sorted(_EXAMPLE_KEYS))}; "
                    "run isoglot evaluate again"
                )
            records.append(record)
    return records


def _short(model: str) -> str:
    """Return the last part of a folder or hub name."""
    return model.rstrip("/").rpartition("/")[2] or model


def _show(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {text}" for key, text in value.items()) or "nothing"
    return str(value)
