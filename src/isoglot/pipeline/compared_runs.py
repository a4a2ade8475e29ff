"""Per-query values of evaluations, read from their folders or from single files, and checked.

Parquet from anywhere is taken, so nothing about it is believed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from isoglot.artifacts import COMPLETE, is_complete, read_json
from isoglot.errors import ArtifactError, ConfigError, DataError
from isoglot.evaluation.outputs import METRICS, PER_QUERY_TABLE, RANKS_TABLE, read_table
from isoglot.evaluation.settings import SETTINGS, check_settings
from isoglot.languages import ALL_LANGUAGES
from isoglot.reporting.tables import RANK_DISTANCE

__all__ = [
    "KEYS",
    "VALUE",
    "ComparedRun",
    "check_benchmarks",
    "check_depths",
    "choose_settings",
    "condition_notes",
    "keep_known_settings",
    "read_run",
    "values_file",
]

KEYS = ("measure", "setting", "query_lang", "passage_lang", "query_id")
"""The columns that say what a value is of."""
VALUE = "value"


class ComparedRun(NamedTuple):
    """The values of one run."""

    name: str
    values: Any
    """``pyarrow.Table`` of the columns ``KEYS`` (strings) and ``value`` (float64)."""
    distances: Any
    """A table of the same form with the rank distances, or None if they are not known."""
    metrics: Mapping[str, Any]
    """``metrics.json``; empty for a single file."""


def values_file(path: Path) -> Path:
    """Return the file with the per-query values of a run.

    Raises:
        ArtifactError: If there is none, or the evaluation is not complete.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise ArtifactError(
            f"{path}: no such folder or file; give the folder of an evaluation, or a "
            f"{PER_QUERY_TABLE}"
        )
    if not (path / PER_QUERY_TABLE).is_file():
        raise ArtifactError(f"{path}: holds no {PER_QUERY_TABLE}; give the folder of an evaluation")
    if not is_complete(path):
        raise ArtifactError(
            f"{path}: the evaluation is not complete, {COMPLETE} is missing; evaluate again"
        )
    return path / PER_QUERY_TABLE


def read_run(path: Path, measure: str) -> ComparedRun:
    """Read the values of one measure, and the rank distances where ranks are known.

    Raises:
        DataError: If the measure is not there, or values cannot be used.
        ArtifactError: If a file is missing, incomplete or damaged.
    """
    file = values_file(path)
    table = _read_table(file, (*KEYS, VALUE))
    held = table["measure"].unique().to_pylist()
    if measure not in held:
        raise DataError(
            f"{file}: holds no {measure}; evaluate with --measure {measure}, "
            f"or compare by one of {', '.join(sorted(held)) or 'another file'}"
        )
    values = _select(table, "measure", [measure])
    unknown = sorted(set(values["setting"].unique().to_pylist()) - set(SETTINGS))
    if unknown:
        raise DataError(f"{file}: unknown setting {unknown[0]!r}; use {', '.join(SETTINGS)}")
    if not np.isfinite(values[VALUE].to_numpy()).all():
        raise DataError(f"{file}: holds values of {measure} that are no numbers; evaluate again")
    if file == path:
        return ComparedRun(str(path), values, None, {})
    metrics = read_json(path / METRICS)
    if not isinstance(metrics, dict) or "benchmark" not in metrics:
        raise ArtifactError(f"{path / METRICS}: does not name a benchmark; evaluate again")
    return ComparedRun(str(path), values, _read_distances(path / RANKS_TABLE), metrics)


def _read_distances(file: Path) -> Any | None:  # noqa: ANN401 - pyarrow has no types
    """Return max rank - min rank of the queries with relevant passages in several languages.

    As ``isoglot.bias`` defines it. None if there is no such file, or passages are not ranked.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not file.is_file():
        return None
    keys = ("query_lang", "query_id")
    table = _read_table(file, (*keys, "passage_lang", "relevance", "rank"), may_be_empty=("rank",))
    table = table.filter(pc.greater(table["relevance"], 0))
    if table["rank"].null_count:
        return None
    found = table.group_by(list(keys)).aggregate(
        [("rank", "max"), ("rank", "min"), ("passage_lang", "count_distinct")]
    )
    found = found.filter(pc.greater(found["passage_lang_count_distinct"], 1))
    distances = pc.subtract(found["rank_max"], found["rank_min"]).cast(pa.float64())
    same = {"measure": RANK_DISTANCE, "setting": SETTINGS[-1], "passage_lang": ALL_LANGUAGES}
    columns = {name: pa.repeat(word, found.num_rows) for name, word in same.items()}
    columns |= {name: found[name] for name in keys} | {VALUE: distances}
    return pa.table({name: columns[name] for name in (*KEYS, VALUE)})


def _read_table(file: Path, names: Sequence[str], may_be_empty: Sequence[str] = ()) -> Any:  # noqa: ANN401 - pyarrow has no types
    """Read columns of words and numbers from Parquet, as strings and float64."""
    import pyarrow as pa

    table = read_table(file, names)
    if missing := [name for name in names if name not in table.column_names]:
        raise DataError(f"{file}: has no column {missing[0]!r}; it needs {', '.join(names)}")
    numbers = (VALUE, "relevance", "rank")
    columns = {}
    for name in names:
        kind = pa.float64() if name in numbers else pa.string()
        if table[name].null_count and name not in may_be_empty:
            raise DataError(f"{file}: column {name!r} has empty cells; evaluate again")
        try:
            columns[name] = table[name].cast(kind)
        except pa.ArrowException as error:
            raise DataError(
                f"{file}: column {name!r} holds {table[name].type}, expected {kind}"
            ) from error
    return pa.table(columns)


def _select(table: Any, column: str, words: Sequence[str]) -> Any:  # noqa: ANN401 - pyarrow
    import pyarrow as pa
    import pyarrow.compute as pc

    return table.filter(pc.is_in(table[column], pa.array(words, pa.string())))


def check_benchmarks(runs: Sequence[ComparedRun]) -> None:
    """Refuse evaluations on different benchmarks: their queries may share ids by chance."""
    named = [(run.name, run.metrics["benchmark"]) for run in runs if run.metrics]
    for name, benchmark in named[1:]:
        if benchmark != named[0][1]:
            raise DataError(
                f"{named[0][0]} was measured on {named[0][1]} and {name} on {benchmark}; "
                "compare evaluations on one benchmark"
            )


def check_depths(runs: Sequence[ComparedRun]) -> None:
    """Refuse runs of different depth: the shorter has lower figures whatever the system."""
    known = [(run.name, run.metrics.get("depth")) for run in runs if run.metrics]
    for name, depth in known[1:]:
        if depth != known[0][1]:
            raise ConfigError(
                f"{known[0][0]} and {name} were measured to different depths: "
                f"{_tell_depth(known[0][1])} and {_tell_depth(depth)}; evaluate both from runs of "
                "one depth with --depth, or both in full"
            )


def keep_known_settings(
    runs: Sequence[ComparedRun], wanted: Sequence[str]
) -> tuple[list[ComparedRun], list[str]]:
    """Keep the multilingual setting only, if the runs are of limited depth.

    What such a run holds of the pool of one language is the more, the more the system prefers that
    language: the figures of two systems are of different depth there.
    """
    depth = max((run.metrics.get("depth") or 0 for run in runs), default=0)
    mixed = SETTINGS[-1]
    if not depth:
        return list(runs), []
    what = (
        f"from the first {depth:,} passages of all languages only {mixed} figures can be compared"
    )
    if wanted and check_settings(wanted) != (mixed,):
        raise ConfigError(f"{what}; use --settings {mixed}, or evaluate in full")
    kept = [run._replace(values=_select(run.values, "setting", [mixed])) for run in runs]
    return kept, [what]


def choose_settings(
    runs: Sequence[ComparedRun], wanted: Sequence[str]
) -> tuple[list[ComparedRun], list[str]]:
    """Keep the settings that are wanted, by default those that all runs have."""
    held = [set(run.values["setting"].unique().to_pylist()) for run in runs]
    in_all, in_any = set.intersection(*held), set.union(*held)
    names = check_settings(wanted) if wanted else [s for s in SETTINGS if s in in_all]
    for name in names:
        for run, settings in zip(runs, held, strict=True):
            if name not in settings:
                raise ConfigError(
                    f"{run.name} has no {name} values; it has {', '.join(sorted(settings))}"
                )
    if not names:
        raise DataError("the runs have no setting in common; evaluate them in the same settings")
    notes = [
        f"left out, not in every run: the {name} setting"
        for name in SETTINGS
        if not wanted and name in in_any - in_all
    ]
    chosen = [run._replace(values=_select(run.values, "setting", names)) for run in runs]
    if SETTINGS[-1] not in names:
        chosen = [run._replace(distances=None) for run in chosen]
    return chosen, notes


def condition_notes(runs: Sequence[ComparedRun]) -> Iterator[str]:
    """Say in what else the runs differ, and what could not be checked."""
    found = {run.name: run.metrics.get("options") or {} for run in runs if run.metrics}
    if len(set(map(str, found.values()))) > 1:
        told = ", ".join(f"{_tell_options(value)} in {name}" for name, value in found.items())
        yield f"texts were read in different ways (options): {told}"
    unranked = [run.name for run in runs if run.distances is None]
    if 0 < len(unranked) < len(runs):
        yield f"rank distance left out: {', '.join(unranked)} has no ranks of all relevant passages"
    bare = [run.name for run in runs if not run.metrics]
    if bare:
        yield f"not known of {', '.join(bare)}: benchmark and passages; ids were compared only"


def _tell_options(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {word}" for key, word in options.items()) or "default"


def _tell_depth(depth: int | None) -> str:
    return "full" if depth is None else f"{depth:,}"
