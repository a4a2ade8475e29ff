"""The cells of an experiment: their folders, and which of their stages are up to date.

A stage is up to date if it is complete and not older than the model it was made with, so that a
model trained anew, here or by another command, takes its corrections and results with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isoglot.artifacts import COMPLETE, is_complete, read_yaml
from isoglot.config.correction import CorrectionConfig
from isoglot.config.experiment import (
    BM25_ENCODER,
    CORRECTION_STAGE,
    TRAINING_STAGE,
    UNTRAINED,
    EncoderConfig,
    ExperimentConfig,
    VariantConfig,
)
from isoglot.config.schema import EvaluationConfig, ModelConfig, TrainConfig
from isoglot.errors import ArtifactError, ConfigError, did_you_mean
from isoglot.pipeline.evaluation import evaluation_record

__all__ = ["Cell", "cells_of", "check_cells", "choose_cells"]


@dataclass(frozen=True)
class Cell:
    """One model of the grid."""

    encoder: EncoderConfig
    method: str
    """Label of a regime or variant, or ``untrained``."""
    seed: int
    training: TrainConfig | None = None
    """How it is trained."""
    correction: CorrectionConfig | None = None
    """How the model of another cell is corrected."""
    of: Cell | None = None
    """That cell."""

    @property
    def folder(self) -> str:
        """Its folder within the experiment's."""
        name = self.method if self.method == UNTRAINED else f"{self.method}-seed{self.seed}"
        return f"{self.encoder.label}/{name}"

    def model_stage(self, root: Path) -> Path | None:
        """Return the folder of the training or correction that makes the model, if one does."""
        if self.method == UNTRAINED:
            return None
        return root / self.folder / (CORRECTION_STAGE if self.correction else TRAINING_STAGE)

    def model(self, root: Path) -> ModelConfig:
        """Return the model that is evaluated."""
        stage = self.model_stage(root)
        if stage is None:
            return ExperimentConfig.model_of(self.encoder)
        return ModelConfig(name=str(stage / "model"))

    def has_model(self, root: Path) -> bool:
        """Say whether the model needs no more work."""
        stage = self.model_stage(root)
        if stage is None:
            return True
        if self.of is None:
            return is_complete(stage)
        return self.of.has_model(root) and _is_current(stage, self.of.model_stage(root))

    def is_evaluated(self, root: Path, benchmark: EvaluationConfig) -> bool:
        """Say whether the results on a benchmark are those of its model."""
        stage = root / self.folder / benchmark.label
        return self.has_model(root) and _is_current(stage, self.model_stage(root))


def _is_current(stage: Path, source: Path | None) -> bool:
    """Say whether a stage is complete, and was completed after what it is made of."""
    if not is_complete(stage):
        return False
    return source is None or _completed(stage) >= _completed(source)


def _completed(stage: Path) -> str:
    """Return when a stage was completed: UTC in ISO form, which sorts by time."""
    return (stage / COMPLETE).read_text(encoding="utf-8").strip()


def cells_of(config: ExperimentConfig) -> Iterator[Cell]:
    """Yield all cells, a corrected one after the one it is made of."""
    if config.bm25:
        yield Cell(BM25_ENCODER, UNTRAINED, 0)
    for encoder in config.encoders:
        made = {(UNTRAINED, 0): Cell(encoder, UNTRAINED, 0)}
        if config.untrained:
            yield made[UNTRAINED, 0]
        for method in sorted(config.methods, key=lambda method: method.correction is not None):
            for seed in config.seeds_of(method):
                made[method.label, seed] = _cell(config, encoder, method, seed, made)
                yield made[method.label, seed]


def _cell(
    config: ExperimentConfig,
    encoder: EncoderConfig,
    method: VariantConfig,
    seed: int,
    made: Mapping[tuple[str, int], Cell],
) -> Cell:
    if method.of is None:
        training = config.train_config(encoder, method.label, seed)
        return Cell(encoder, method.label, seed, training=training)
    base = made[method.of, seed]
    return Cell(encoder, method.label, seed, correction=method.correction, of=base)


def choose_cells(cells: list[Cell], only: tuple[str, ...]) -> list[Cell]:
    """Return the cells of some methods; of BM25 by its name.

    Raises:
        ConfigError: If a label is none of the experiment's.
    """
    known = list(dict.fromkeys(map(_name, cells)))
    for label in only:
        if label not in known:
            raise ConfigError(
                f"--only: nothing is called {label!r}; allowed: {', '.join(known)}"
                f"{did_you_mean(label, known)}"
            )
    return [cell for cell in cells if not only or _name(cell) in only]


def _name(cell: Cell) -> str:
    return cell.encoder.label if cell.encoder is BM25_ENCODER else cell.method


def check_cells(config: ExperimentConfig, cells: list[Cell], root: Path) -> None:
    """Refuse to mix results of different configs; done before anything is touched.

    Raises:
        ArtifactError: If a complete stage of a cell was made with another config.
    """
    for cell in cells:
        stage = cell.model_stage(root)
        if stage is not None and cell.training is not None:
            _check_stage(stage, cell.training.model_dump(mode="json"))
        if stage is not None and cell.correction is not None and cell.of is not None:
            _check_stage(stage, {"correction": cell.correction.model_dump(mode="json")})
            _check_corrected(stage, cell.of)
        for benchmark in config.benchmarks:
            wanted = evaluation_record(config.model_of(cell.encoder), benchmark)
            if stage is not None:
                # The model is the cell's own, wherever the experiment's folder has been moved to.
                del wanted["model"]
            _check_stage(root / cell.folder / benchmark.label, wanted)


def _check_stage(folder: Path, wanted: Mapping[str, Any]) -> None:
    if not is_complete(folder):
        return
    stored = read_yaml(folder / "config.yaml")
    if any(stored.get(key) != value for key, value in wanted.items()):
        raise _other_config(folder)


def _check_corrected(stage: Path, base: Cell) -> None:
    """Refuse a correction of another model; where the experiment lies does not matter."""
    if not is_complete(stage):
        return
    stored = read_yaml(stage / "config.yaml").get("model", {})
    wanted = base.model(Path())
    if base.training is None:  # the encoder as it comes, with all of its options
        same = stored == wanted.model_dump(mode="json")
    else:
        parts = Path(wanted.name).parts
        same = Path(stored.get("name", "")).parts[-len(parts) :] == parts
    if not same:
        raise _other_config(stage)


def _other_config(folder: Path) -> ArtifactError:
    return ArtifactError(
        f"{folder}: was made with another config; choose another --output or delete it"
    )
