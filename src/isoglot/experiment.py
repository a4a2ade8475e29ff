"""An experiment: encoders x regimes x seeds, trained, evaluated and compared.

Every cell of the grid has folders of its own, each with a completion marker; a started experiment
is gone on with by running it again. The folder of encoder E, regime R and seed S is
``E/R-seedS/train`` for the training and ``E/R-seedS/BENCHMARK`` for each evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

from isoglot.artifacts import (
    is_complete,
    mark_complete,
    prepare_folder,
    provenance,
    read_json,
    write_json,
    write_text,
    write_yaml,
)
from isoglot.config.loading import StrictModel
from isoglot.config.schema import (
    EncoderConfig,
    ExperimentConfig,
    ModelConfig,
    Regime,
    TrainConfig,
)
from isoglot.errors import ArtifactError
from isoglot.pipeline import run_evaluation, run_training
from isoglot.reporting.tables import Comparison, RunResult, compare

__all__ = ["UNTRAINED", "run_experiment"]

UNTRAINED = "untrained"
"""Stands for the regime of an encoder evaluated as it comes."""


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
) -> Comparison:
    """Run what is missing of an experiment and compare all of it.

    Args:
        config: The grid.
        folder: Folder of the experiment, new or started before.
        report: Takes a line about what is happening.

    Returns:
        The comparison, also written to ``comparison.md`` and ``comparison.csv``.

    Raises:
        IsoglotError: If config, data, a model or a folder cannot be used; cells finished by then
            stay finished.
    """
    prepare_folder(folder, overwrite=True)
    write_yaml(folder / "config.yaml", config.model_dump(mode="json"))
    cells = list(_cells(config))
    results = []
    for number, cell in enumerate(cells, start=1):
        report(f"[{number}/{len(cells)}] {cell.folder}")
        model = _trained_model(config, cell, folder / cell.folder)
        for benchmark in config.benchmarks:
            target = folder / cell.folder / benchmark.label
            if _must_run(target, benchmark):
                run_evaluation(model, benchmark, target, overwrite=True)
                write_yaml(target / "config.yaml", benchmark.model_dump(mode="json"))
            results.append(_result(cell, target))
    comparison = compare(results)
    write_text(folder / "comparison.md", comparison.table().to_markdown())
    write_text(folder / "comparison.csv", comparison.data().to_csv())
    write_json(folder / "provenance.json", provenance())
    mark_complete(folder)
    return comparison


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
    training: TrainConfig = config.train_config(cell.encoder, cell.regime, cell.seed)
    target = folder / "train"
    if _must_run(target, training):
        run_training(training, target)
    return ModelConfig(name=str(target / "model"))


def _must_run(folder: Path, config: StrictModel) -> bool:
    """Say whether a stage is still to be run.

    Raises:
        ArtifactError: If it is complete, but of another config.
    """
    if not is_complete(folder):
        return True
    stored = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    if stored != config.model_dump(mode="json"):
        raise ArtifactError(
            f"{folder}: was made with another config; choose another --output or delete it"
        )
    return False


def _result(cell: Cell, folder: Path) -> RunResult:
    metrics = read_json(folder / "metrics.json")
    regime = cell.regime or UNTRAINED
    return RunResult(cell.encoder.label, regime, cell.seed, str(metrics["benchmark"]), metrics)
