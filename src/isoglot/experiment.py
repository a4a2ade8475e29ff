"""An experiment: encoders x regimes x seeds, trained, evaluated and compared.

Every cell of the grid has folders of its own, each with a completion marker; a started experiment
is gone on with by running it again. The folder of encoder E, regime R and seed S is
``E/R-seedS/train`` for the training and ``E/R-seedS/BENCHMARK`` for each evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from isoglot.artifacts import (
    COMPLETE,
    is_complete,
    mark_complete,
    prepare_folder,
    provenance,
    read_yaml,
    write_json,
    write_text,
    write_yaml,
)
from isoglot.config.experiment import EncoderConfig, ExperimentConfig
from isoglot.config.schema import EvaluationConfig, ModelConfig, Regime, TrainConfig
from isoglot.data.collection import Collection
from isoglot.data.leakage import MAX_SHARE
from isoglot.errors import ArtifactError, ConfigError, DataError
from isoglot.evaluation.measures import parse_measures
from isoglot.evaluation.outputs import read_evaluation
from isoglot.pipeline.evaluation import evaluation_record, load_collection, run_evaluation
from isoglot.pipeline.sources import audit_data
from isoglot.pipeline.training import run_training
from isoglot.reporting.by_language import compare_languages
from isoglot.reporting.leakage import audit_record, audit_warnings
from isoglot.reporting.tables import UNTRAINED, Comparison, RunResult, compare

__all__ = ["Cell", "run_experiment"]


class Cell(NamedTuple):
    """One model of the grid."""

    encoder: EncoderConfig
    regime: Regime | None
    """None for the encoder as it comes."""
    seed: int

    @property
    def folder(self) -> str:
        """Its folder within the experiment's."""
        name = UNTRAINED if self.regime is None else f"{self.regime}-seed{self.seed}"
        return f"{self.encoder.label}/{name}"


def run_experiment(
    config: ExperimentConfig, folder: Path, report: Callable[[str], object]
) -> list[Comparison]:
    """Run what is missing of an experiment and compare all of it.

    Args:
        config: The grid.
        folder: Folder of the experiment, new or started before.
        report: Takes a line about what is happening.

    Returns:
        A comparison per measure, also written to ``comparison.md`` and ``comparison.csv``;
        ``languages.md`` has them by query language.

    Raises:
        IsoglotError: If config, data, a model or a folder cannot be used; cells finished by then
            stay finished.
    """
    cells = list(_cells(config))
    for cell in cells:
        _check_cell(config, cell, folder)
    _check_measures(config)
    collections = _load_collections(config, cells, folder)
    prepare_folder(folder, overwrite=True)
    write_yaml(folder / "config.yaml", config.model_dump(mode="json"))
    if config.audit and _to_train(cells, folder):
        _audit(config, list(collections.values()), folder, report)
    results = []
    for number, cell in enumerate(cells, start=1):
        report(f"[{number}/{len(cells)}] {cell.folder}")
        model = _trained_model(config, cell, folder / cell.folder)
        for benchmark in config.benchmarks:
            target = folder / cell.folder / benchmark.label
            if not is_complete(target):
                collection = collections[benchmark.label]
                run_evaluation(model, benchmark, target, collection=collection, overwrite=True)
            results.append(_result(cell, benchmark, target))
    comparisons = [compare(results, measure=measure) for measure in config.measures]
    _write_tables(comparisons, results, folder)
    write_json(folder / "provenance.json", provenance())
    mark_complete(folder)
    return comparisons


def _write_tables(
    comparisons: Sequence[Comparison], results: Sequence[RunResult], folder: Path
) -> None:
    """Write the comparison and the tables by language, one of each per measure."""
    sections, languages = [], []
    for comparison in comparisons:
        sections.append(f"## {comparison.measure}\n\n{comparison.table().to_markdown()}")
        tables = compare_languages(results, measure=comparison.measure)
        for (benchmark, encoder), table in tables.items():
            heading = f"## {benchmark}, {encoder}, {comparison.measure}"
            languages.append(f"{heading}\n\n{table.to_markdown()}")
    write_text(folder / "comparison.md", "\n".join(sections))
    write_text(folder / "languages.md", "\n".join(languages))
    data = [comparison.data() for comparison in comparisons]
    rows = tuple(row for table in data for row in table.rows)
    write_text(folder / "comparison.csv", replace(data[0], rows=rows).to_csv())


def _cells(config: ExperimentConfig) -> Iterator[Cell]:
    for encoder in config.encoders:
        if config.untrained:
            yield Cell(encoder, None, 0)
        for regime in config.regimes:
            for seed in config.seeds:
                yield Cell(encoder, regime, seed)


def _trained_model(config: ExperimentConfig, cell: Cell, folder: Path) -> ModelConfig:
    """Train a cell's model if that is to be done; return where it is."""
    if cell.regime is None:
        return config.model_of(cell.encoder)
    target = folder / "train"
    if not is_complete(target):
        for benchmark in config.benchmarks:
            # Results of an earlier model of this cell are no longer its results.
            (folder / benchmark.label / COMPLETE).unlink(missing_ok=True)
        run_training(config.train_config(cell.encoder, cell.regime, cell.seed), target)
    return ModelConfig(name=str(target / "model"))


def _check_cell(config: ExperimentConfig, cell: Cell, folder: Path) -> None:
    """Refuse to mix results of different configs; done before anything is touched.

    Raises:
        ArtifactError: If a complete stage of the cell was made with another config.
    """
    if cell.regime is not None:
        training: TrainConfig = config.train_config(cell.encoder, cell.regime, cell.seed)
        _check_stage(folder / cell.folder / "train", training.model_dump(mode="json"))
    for benchmark in config.benchmarks:
        wanted = evaluation_record(config.model_of(cell.encoder), benchmark)
        if cell.regime is not None:
            # The model is the cell's own, wherever the experiment's folder has been moved to.
            del wanted["model"]
        _check_stage(folder / cell.folder / benchmark.label, wanted)


def _check_stage(folder: Path, wanted: Mapping[str, Any]) -> None:
    if not is_complete(folder):
        return
    stored = read_yaml(folder / "config.yaml")
    if any(stored.get(key) != value for key, value in wanted.items()):
        raise ArtifactError(
            f"{folder}: was made with another config; choose another --output or delete it"
        )


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


def _load_collections(
    config: ExperimentConfig, cells: Sequence[Cell], folder: Path
) -> dict[str, Collection]:
    """Load the benchmarks that some cell has still to be evaluated on, once for all cells.

    Raises:
        IsoglotError: If one cannot be loaded, or a file of training data is missing.
    """
    untrained = _to_train(cells, folder)
    if untrained:
        for source in config.data:
            if source.format != "hub" and not Path(source.path).exists():
                raise DataError(f"{source.path}: no such file; data names the training data")
    return {
        benchmark.label: load_collection(benchmark)
        for benchmark in config.benchmarks
        if untrained
        or not all(is_complete(folder / cell.folder / benchmark.label) for cell in cells)
    }


def _to_train(cells: Sequence[Cell], folder: Path) -> bool:
    """Say whether a cell is still to be trained."""
    return any(
        cell.regime is not None and not is_complete(folder / cell.folder / "train")
        for cell in cells
    )


def _audit(
    config: ExperimentConfig,
    collections: Sequence[Collection],
    folder: Path,
    report: Callable[[str], object],
) -> None:
    """Look for the benchmarks in the training data; warn, and go on."""
    report("looking for the benchmarks in the training data")
    reports = audit_data(config, collections)
    write_json(folder / "audit.json", audit_record(reports, MAX_SHARE))
    for line in audit_warnings(reports, MAX_SHARE):
        report(line)


def _result(cell: Cell, benchmark: EvaluationConfig, folder: Path) -> RunResult:
    stored = read_evaluation(folder)
    return RunResult(
        encoder=cell.encoder.label,
        batches=cell.regime or UNTRAINED,
        seed=cell.seed,
        benchmark=benchmark.title,
        metrics=stored.metrics,
        settings=stored.settings,
    )
