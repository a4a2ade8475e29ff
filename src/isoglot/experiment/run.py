"""A grid from its config to its tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from isoglot.artifacts import (
    mark_complete,
    prepare_folder,
    provenance,
    write_json,
    write_yaml,
)
from isoglot.config.experiment import ExperimentConfig
from isoglot.data.collection import Collection
from isoglot.errors import ConfigError, DataError
from isoglot.evaluation.measures import parse_measures
from isoglot.experiment.audit import audit_experiment, missing_files, texts_read
from isoglot.experiment.cells import Cell, cells_of, check_cells, choose_cells
from isoglot.experiment.inputs import check_evaluated, check_inputs, note_encoders
from isoglot.experiment.results import write_results
from isoglot.experiment.work import Workshop
from isoglot.pipeline.evaluation import load_collection
from isoglot.reporting.tables import Comparison

__all__ = ["run_experiment"]


def run_experiment(
    config: ExperimentConfig,
    folder: Path,
    report: Callable[[str], object],
    *,
    only: Sequence[str] = (),
) -> list[Comparison]:
    """Run what is missing of an experiment and compare all of it.

    Args:
        config: The grid.
        folder: Folder of the experiment, new or started before.
        report: Takes a line about what is happening.
        only: Labels of regimes and variants to work on now, without comparing anything; several
            processes may so work in one folder. Default: all.

    Returns:
        A comparison per measure, none with ``only``. They are written to ``comparison.md`` and
        ``comparison.csv``, with the other files that ``write_results`` names.

    Raises:
        IsoglotError: If config, data, a model or a folder cannot be used; cells finished by then
            stay finished.
    """
    cells = list(cells_of(config))
    chosen = choose_cells(cells, tuple(only))
    check_cells(config, cells, folder)
    check_inputs(config, cells, folder)
    _check_measures(config)
    unmade = _without_model(chosen, folder)
    _check_files(unmade)
    collections = _load_collections(config, chosen, folder)
    check_evaluated(config, cells, collections, folder)
    prepare_folder(folder, overwrite=True)
    write_yaml(folder / "config.yaml", config.model_dump(mode="json"))
    note_encoders(config, folder)
    if config.audit and unmade:
        audit_experiment(cells, list(collections.values()), folder, report)
    workshop = Workshop(config, cells, collections, folder, report)
    for number, cell in enumerate(chosen, start=1):
        report(f"[{number}/{len(chosen)}] {cell.folder}")
        workshop.finish(cell)
    if only:
        return []
    comparisons = write_results(config, cells, folder, report)
    write_json(folder / "provenance.json", provenance())
    mark_complete(folder)
    return comparisons


def _check_measures(config: ExperimentConfig) -> None:
    """Check the measures before hours of work.

    Raises:
        ConfigError: If one is no measure, or is not among a benchmark's.
    """
    for benchmark in config.benchmarks:
        evaluated = set(map(str, parse_measures(benchmark.measures)))
        for measure in map(str, parse_measures(config.measures)):
            if measure not in evaluated:
                raise ConfigError(
                    f"measures: {measure} is not among the measures of {benchmark.title}; "
                    f"it has {', '.join(benchmark.measures)}"
                )


def _check_files(cells: Sequence[Cell]) -> None:
    """Check that the files which cells will read are there.

    Raises:
        DataError: If one is missing.
    """
    for path in missing_files(texts_read(cells)):
        raise DataError(f"{path}: no such file; data and development.path name what is read")


def _load_collections(
    config: ExperimentConfig, cells: Sequence[Cell], folder: Path
) -> dict[str, Collection]:
    """Load the benchmarks that some cell has still to be evaluated on, once for all cells.

    Raises:
        IsoglotError: If one cannot be loaded.
    """
    return {
        benchmark.label: load_collection(benchmark)
        for benchmark in config.benchmarks
        if not all(cell.is_evaluated(folder, benchmark) for cell in cells)
    }


def _without_model(cells: Sequence[Cell], folder: Path) -> list[Cell]:
    """Return the cells whose model is still to be made, those that others correct among them."""
    needed = {cell.folder: cell for each in cells for cell in (each.of, each) if cell is not None}
    return [cell for cell in needed.values() if not cell.has_model(folder)]
