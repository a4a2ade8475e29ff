"""The configuration of ``isoglot experiment``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator
from typing_extensions import Self

from isoglot.config.model import ModelConfig
from isoglot.config.schema import EvaluationConfig, OptimisationConfig, TrainConfig
from isoglot.config.training import Regime
from isoglot.config.types import Seed

__all__ = ["EncoderConfig", "ExperimentConfig"]


class EncoderConfig(ModelConfig):
    """An encoder of an experiment."""

    label: Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
    """Its name in tables and folders: letters, digits, ``_``, ``.`` and ``-``."""


class ExperimentConfig(OptimisationConfig):
    """``isoglot experiment``: encoders x regimes x seeds, trained and evaluated."""

    name: str = "experiment"
    """For the reader; stored with the config."""
    encoders: Annotated[tuple[EncoderConfig, ...], Field(min_length=1)]
    regimes: Annotated[tuple[Regime, ...], Field(min_length=1)] = (
        "monolingual",
        "cross-lingual",
        "hybrid",
    )
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0, 1, 2)
    untrained: bool = True
    """Also evaluate every encoder as it comes."""
    benchmarks: Annotated[tuple[EvaluationConfig, ...], Field(min_length=1)]
    measures: Annotated[tuple[str, ...], Field(min_length=1)] = ("AP",)
    """Measures to compare by, a table each; names as ir_measures writes them."""
    audit: bool = True
    """Look for the benchmarks in the data before training."""

    @model_validator(mode="after")
    def _distinct_cells(self) -> Self:
        for key, names in (
            ("encoders: label", [encoder.label for encoder in self.encoders]),
            ("benchmarks: benchmark", [benchmark.label for benchmark in self.benchmarks]),
            ("seeds: seed", list(map(str, self.seeds))),
            ("regimes: regime", list(map(str, self.regimes))),
        ):
            if repeated := {name for name in names if names.count(name) > 1}:
                raise ValueError(f"{key} {sorted(repeated)[0]!r} is used twice")
        return self

    def model_of(self, encoder: EncoderConfig) -> ModelConfig:
        """Return an encoder without its label."""
        return ModelConfig(**encoder.model_dump(exclude={"label"}))

    def train_config(self, encoder: EncoderConfig, regime: Regime, seed: int) -> TrainConfig:
        """Return the training of one cell of the grid."""
        return TrainConfig(
            model=self.model_of(encoder),
            data=self.data,
            languages=self.languages,
            batches=self.batches.model_copy(update={"regime": regime}),
            loss=self.loss,
            training=self.training.model_copy(update={"seed": seed}),
            development=self.development,
            audit=(),  # an experiment looks for its own benchmarks, once
        )
