"""Evaluations to tested differences: which figures of which systems, and the folder they go to."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from isoglot.errors import ConfigError, did_you_mean
from isoglot.evaluation.measures import parse_measure
from isoglot.evaluation.outputs import write_table
from isoglot.evaluation.significance import (
    RESAMPLES,
    Design,
    PairedResults,
    compare_systems,
    default_permutations,
)
from isoglot.pipeline.aligned_values import AlignedValues, PoolOfMeasure, align_runs
from isoglot.pipeline.compared_runs import values_file
from isoglot.reporting.differences import (
    ROW_COLUMNS,
    ComparedSystem,
    Difference,
    DifferenceReport,
    Figure,
    Interval,
    comparison_markdown,
    comparison_record,
)

__all__ = [
    "ComparisonOptions",
    "System",
    "check_comparison_folder",
    "run_comparison",
    "write_comparison",
]

_RECORD = "comparison.json"
_ROWS = "differences.parquet"
_PAGE = "comparison.md"


@dataclass(frozen=True)
class System:
    """What is compared: one trained model, or several that differ in their seed."""

    label: str
    runs: tuple[Path, ...]
    """Folders of evaluations, or files like their ``per_query.parquet``."""


@dataclass(frozen=True)
class ComparisonOptions:
    """What to compare, and how."""

    measure: str = "AP"
    settings: tuple[str, ...] = ()
    """Default: those that every run has."""
    baseline: str | None = None
    """Label or path of the system that the others are compared with; default: the first."""
    all_pairs: bool = False
    """Compare every system with every other."""
    languages: bool = True
    """Test single query languages, too."""
    pools: bool = False
    """Test single pairs of languages, too."""
    common: bool = False
    """Compare on the queries and pools that all runs share, instead of refusing."""
    alpha: float = 0.05
    permutations: int | None = None
    """Default: 10,000, or as many more as the number of tests needs."""
    resamples: int = RESAMPLES
    seed: int = 0


def run_comparison(systems: Sequence[System], options: ComparisonOptions) -> DifferenceReport:
    """Read the runs of all systems and test the differences between the systems.

    Args:
        systems: Two or more.
        options: What to compare, and how.

    Raises:
        ConfigError: If systems or options cannot be used.
        DataError: If a run does not have the measure, or runs were not measured alike.
        ArtifactError: If an evaluation is missing, incomplete or damaged.
    """
    measure = str(parse_measure(options.measure))
    systems = _baseline_first(_check_systems(systems), options.baseline)
    paths = [path for system in systems for path in system.runs]
    aligned = align_runs(paths, measure, options.settings, common=options.common)
    figures, members = _figures(aligned, options)
    pairs = [
        pair
        for pair in itertools.combinations(range(len(systems)), 2)
        if options.all_pairs or pair[0] == 0
    ]
    families = np.unique([figure.measure for figure in figures], return_inverse=True)[1]
    permutations = _permutations(options, len(pairs) * int(np.bincount(families).max()))
    ends = list(itertools.accumulate((len(system.runs) for system in systems), initial=0))
    results = compare_systems(
        aligned.values,
        Design(aligned.query_ids, aligned.pools, members, families),
        [range(start, end) for start, end in itertools.pairwise(ends)],
        pairs,
        alpha=options.alpha,
        permutations=permutations,
        resamples=options.resamples,
        seed=options.seed,
    )
    labels = [system.label for system in systems]
    return DifferenceReport(
        benchmark=aligned.benchmark,
        measure=measure,
        systems=tuple(ComparedSystem(s.label, tuple(map(str, s.runs))) for s in systems),
        rows=tuple(_rows(results, figures, labels, pairs, options.alpha)),
        clusters=int(aligned.query_ids.max()) + 1,
        alpha=options.alpha,
        permutations=permutations,
        resamples=options.resamples,
        seed=options.seed,
        notes=aligned.notes,
    )


def check_comparison_folder(folder: Path, *, overwrite: bool = False) -> None:
    """Refuse a folder that holds other results; to be called before anything is computed.

    Raises:
        ArtifactError: If it does, or holds a complete comparison and ``overwrite`` is false.
    """
    refuse_other_results(folder, _RECORD, overwrite=overwrite)


def write_comparison(report: DifferenceReport, folder: Path, *, overwrite: bool = False) -> None:
    """Write the folder of a comparison: record, rows, page, provenance and, last, the marker.

    Raises:
        ArtifactError: If the folder holds other results or cannot be written.
    """
    import pyarrow as pa

    check_comparison_folder(folder, overwrite=overwrite)
    prepare_folder(folder, overwrite=overwrite)
    record = comparison_record(report)
    write_json(folder / _RECORD, record)
    write_table(folder / _ROWS, pa.Table.from_pylist(record["rows"], schema=_row_schema()))
    write_text(folder / _PAGE, comparison_markdown(report))
    sources = [values_file(Path(run)) for system in report.systems for run in system.runs]
    hashes = {str(path): file_sha256(path) for path in sources}
    write_json(folder / PROVENANCE, provenance(seeds={"resampling": report.seed}, data=hashes))
    mark_complete(folder)


def _row_schema() -> Any:  # noqa: ANN401 - pyarrow has no types
    """Return the columns of the rows; null columns must have their type, too."""
    import pyarrow as pa

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    return pa.schema([(name, kinds[kind]) for name, kind in ROW_COLUMNS.items()])


def _check_systems(systems: Sequence[System]) -> Sequence[System]:
    """Refuse what cannot be told apart."""
    if len(systems) < 2:
        raise ConfigError(
            f"a comparison needs two systems or more, got {len(systems)}; "
            "give evaluation folders, or --system LABEL=FOLDER,FOLDER"
        )
    seen: set[Path] = set()
    for path in (path for system in systems for path in system.runs):
        file = values_file(path).resolve()
        if file in seen:
            raise ConfigError(f"{path}: given twice; give every run once")
        seen.add(file)
    labels = [system.label for system in systems]
    for label in labels:
        if labels.count(label) > 1:
            raise ConfigError(f"two systems are called {label!r}; name them, as in other=FOLDER")
    return systems


def _baseline_first(systems: Sequence[System], baseline: str | None) -> list[System]:
    """Put the baseline, given by label or path, before the others."""
    if baseline is None:
        return list(systems)
    for system in systems:
        if baseline == system.label or (Path(baseline),) == system.runs:
            return [system, *(other for other in systems if other is not system)]
    labels = [system.label for system in systems]
    raise ConfigError(
        f"unknown baseline {baseline!r}; the systems are {', '.join(labels)}"
        f"{did_you_mean(baseline, labels)}"
    )


def _permutations(options: ComparisonOptions, tests: int) -> int:
    """Return the number of permutations; refuse one with which nothing could ever hold."""
    if options.permutations is None:
        return default_permutations(tests, options.alpha)
    needed = math.floor(tests / options.alpha)
    if options.permutations < needed:
        raise ConfigError(
            f"{options.permutations:,} permutations cannot show a difference at alpha "
            f"{options.alpha:g} among {tests:,} tests; use {needed:,} or more"
        )
    return options.permutations


def _figures(
    aligned: AlignedValues, options: ComparisonOptions
) -> tuple[list[Figure], NDArray[np.bool_]]:
    """Return what is tested, and the pools that each averages: (pools, figures).

    A figure that would average the same pools as one before it is left out: with one query
    language, of a language with one pool, or with all passages in one language.
    """

    def same(pools: Sequence[int]) -> tuple[int, ...]:
        return tuple(aligned.same_pools[list(pools)].tolist())

    averages: dict[tuple[int, ...], tuple[str, str, str | None, str | None]] = {}
    for (measure, setting), pools in _group(aligned.pool_names, lambda pool: pool[:2]):
        averages.setdefault(same(pools), (measure, setting, None, None))
        names = [aligned.pool_names[pool] for pool in pools]
        for lang, places in _group(names, lambda pool: pool.query_lang):
            own = same([pools[place] for place in places])
            if options.languages:
                averages.setdefault(own, (measure, setting, lang, None))
            for pool in own if options.pools else ():
                averages.setdefault((pool,), aligned.pool_names[pool])
    members = np.zeros((len(aligned.pool_names), len(averages)), dtype=bool)
    for column, pools in enumerate(averages):
        members[list(pools), column] = True
    counts = _count_queries(aligned, members)
    figures = [Figure(*name, count) for name, count in zip(averages.values(), counts, strict=True)]
    return figures, members


def _group(
    pools: Sequence[PoolOfMeasure], key: Callable[[PoolOfMeasure], Any]
) -> Iterator[tuple[Any, tuple[int, ...]]]:
    """Yield each key with the places of its pools, which stand together."""
    for value, places in itertools.groupby(range(len(pools)), lambda place: key(pools[place])):
        yield value, tuple(places)


def _count_queries(aligned: AlignedValues, members: NDArray[np.bool_]) -> list[int]:
    """Count the queries of each figure; a question in two languages is two."""
    langs = np.unique([pool.query_lang for pool in aligned.pool_names], return_inverse=True)[1]
    queries = langs[aligned.pools] * (aligned.query_ids.max() + 1) + aligned.query_ids
    return [len(np.unique(queries[of_figure[aligned.pools]])) for of_figure in members.T]


def _rows(
    results: PairedResults,
    figures: Sequence[Figure],
    labels: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    alpha: float,
) -> Iterator[Difference]:
    """Yield a row per pair and figure."""
    for pair, (a, b) in enumerate(pairs):
        for column, figure in enumerate(figures):
            yield Difference(
                figure=figure,
                baseline=labels[a],
                system=labels[b],
                baseline_value=float(results.figures[a, column]),
                system_value=float(results.figures[b, column]),
                baseline_deviation=_known(results.deviations[a, column]),
                system_deviation=_known(results.deviations[b, column]),
                difference=float(results.differences[pair, column]),
                interval=Interval(*results.intervals[:, pair, column].tolist()),
                seed_interval=_known_interval(results.seed_intervals[:, pair, column]),
                p=float(results.p_values[pair, column]),
                p_holm=float(results.corrected[pair, column]),
                alpha=alpha,
            )


def _known(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)


def _known_interval(ends: NDArray[np.float64]) -> Interval | None:
    return None if np.isnan(ends).any() else Interval(*ends.tolist())
