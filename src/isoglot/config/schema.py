"""The configuration of the commands, field by field, with units and defaults.

Batches, loss and optimisation are in ``training.py``, encoders in ``model.py``, experiments in
``experiment.py``.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from isoglot.config.loading import StrictModel
from isoglot.config.model import LoraConfig, ModelConfig, StaticModelConfig
from isoglot.config.sources import SourceConfig
from isoglot.config.training import (
    BatchConfig,
    DevelopmentConfig,
    LossConfig,
    Regime,
    TrainingConfig,
)
from isoglot.config.types import Language, Languages, Positive, Share

__all__ = [
    "AlignConfig",
    "AuditConfig",
    "BatchConfig",
    "DevelopmentConfig",
    "EvaluationConfig",
    "LoraConfig",
    "LossConfig",
    "ModelConfig",
    "OptimisationConfig",
    "Regime",
    "SourceConfig",
    "StaticModelConfig",
    "TrainConfig",
    "TrainingConfig",
]


class AuditConfig(StrictModel):
    """A benchmark to look for in the training data."""

    benchmark: str
    data: str | None = None
    """Folder with the benchmark's files; default: downloaded."""
    split: str | None = None
    """Split of MIRACL, AfriQA or BEIR."""
    lang: Language | None = None
    """Language of a BEIR folder whose lines do not name theirs."""


class OptimisationConfig(StrictModel):
    """What every training needs, whatever it starts from."""

    data: Annotated[tuple[SourceConfig, ...], Field(min_length=1)]
    languages: Languages | None = None
    """Train on these languages only; default: all."""
    batches: BatchConfig = BatchConfig()
    loss: LossConfig = LossConfig()
    training: TrainingConfig = TrainingConfig()
    development: DevelopmentConfig = DevelopmentConfig()

    @model_validator(mode="after")
    def _distinct_names(self) -> Self:
        labels = [source.label for source in self.data]
        if repeated := {label for label in labels if labels.count(label) > 1}:
            raise ValueError(f"data: name {sorted(repeated)[0]!r} is used twice; set 'name'")
        return self

    @model_validator(mode="after")
    def _known_data_sets(self) -> Self:
        labels = [source.label for source in self.data]
        for key in ("dataset_weights", "monolingual_from", "cross_lingual_from"):
            if unknown := sorted(set(getattr(self.batches, key) or ()) - set(labels)):
                raise ValueError(
                    f"batches.{key}: no data set is named {unknown[0]!r}; "
                    f"allowed: {', '.join(labels)}"
                )
        return self

    @model_validator(mode="after")
    def _used_negatives(self) -> Self:
        count = self.batches.negatives_per_query
        if count > 0 and self.loss.negatives == "in-batch":
            raise ValueError(
                f"batches.negatives_per_query: {count} explicit negatives, which loss.negatives: "
                "in-batch does not use; set loss.negatives to explicit or both, or take "
                "negatives_per_query out"
            )
        if self.batches.negative_languages != "other" and self.loss.negatives == "in-batch":
            raise ValueError(
                f"batches.negative_languages: {self.batches.negative_languages} is about explicit "
                "negatives, which loss.negatives: in-batch does not use; set loss.negatives to "
                "explicit or both, or take negative_languages out"
            )
        return self

    @property
    def planned_batches(self) -> BatchConfig:
        """The batch config with as many explicit negatives as the loss needs."""
        needed = 0 if self.loss.negatives == "in-batch" else 1
        count = max(self.batches.negatives_per_query, needed)
        return self.batches.model_copy(update={"negatives_per_query": count})


class AuditedConfig(OptimisationConfig):
    """A training that looks for benchmarks in its data first."""

    audit: tuple[AuditConfig, ...] = (AuditConfig(benchmark="mini"),)
    """Benchmarks to look for in the data before training, an empty list for none; default: the
    evaluation groups of the embedded collection, because no other benchmark is always at hand."""
    leave_out_leaks: bool = False
    """Do not train on the groups in which the audit finds a text of a benchmark."""

    @model_validator(mode="after")
    def _leaks_are_looked_for(self) -> Self:
        if self.leave_out_leaks and not self.audit:
            raise ValueError("leave_out_leaks: needs the benchmarks to look for; set 'audit'")
        return self


class TrainConfig(AuditedConfig):
    """``isoglot train``."""

    model: ModelConfig


class AlignBatchConfig(BatchConfig):
    """Batches of an alignment: large, with enough of the large languages to learn from."""

    monolingual_share: Share = 0.25
    size: Positive = 2048
    language_exponent: Annotated[float, Field(ge=0.0)] = 0.4
    small_languages: Literal["error", "skip"] = "skip"


class AlignLossConfig(LossConfig):
    """The loss of an alignment: translations have no explicit negatives."""

    negatives: Literal["in-batch"] = "in-batch"

    @model_validator(mode="after")
    def _possible_objectives(self) -> Self:
        if self.distillation is not None and self.distillation.teacher is None:
            raise ValueError("distillation.teacher: an encoder made from nothing needs a teacher")
        if self.translation_modelling is not None:
            raise ValueError(
                "translation_modelling: a static encoder reads tokens without their context; take "
                "it out"
            )
        return self


class AlignTrainingConfig(TrainingConfig):
    """The optimisation of an alignment: vectors of single subwords need long steps."""

    steps: Positive = 4000
    learning_rate: Annotated[float, Field(gt=0.0)] = 2e-2
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    warmup_share: Share = 0.05


class AlignConfig(AuditedConfig):
    """``isoglot align``: train a static encoder on translations."""

    model: StaticModelConfig = StaticModelConfig()
    batches: AlignBatchConfig = AlignBatchConfig()
    loss: AlignLossConfig = AlignLossConfig()
    training: AlignTrainingConfig = AlignTrainingConfig()
    token_dropout: Share = 0.3
    """Share of a text's tokens left out in training, drawn anew at every visit."""
    crop: Share = 0.5
    """Shortest crop, as a share of the tokens, where query and passage are the same text: both
    sides of a monolingual row of translations are crops of it."""
    max_tokens: Positive | None = None
    """Of a longer text, a random window of so many tokens is used at each visit; default: all."""


class EvaluationConfig(StrictModel):
    """A benchmark of an experiment, and how to run it."""

    benchmark: str
    data: str | None = None
    """Folder with the benchmark's files; default: downloaded."""
    candidates: Literal["sentence", "sentence-with-paragraph"] = "sentence"
    split: str | None = None
    """Split of MIRACL, AfriQA or BEIR."""
    passage_text: Literal["title text", "text"] = "title text"
    """MIRACL, AfriQA and BEIR: what of a passage is encoded."""
    lang: Language | None = None
    """Language of a BEIR folder whose lines do not name theirs."""
    measures: Annotated[tuple[str, ...], Field(min_length=1)] = (
        *("AP", "R@1", "R@10", "R@100"),
        *("nDCG@10", "RR@10"),
    )
    """Names as ir_measures writes them."""
    run_depth: Annotated[int, Field(ge=0)] = 100
    """Passages per query in the TREC runs; the measures use the whole ranking."""
    topics: tuple[str, ...] = ()
    """Files of translated topics, ``SOURCE:LANG=FILE``."""
    subsets: Annotated[dict[str, tuple[Language, ...]], Field(default_factory=dict)]
    """By a name of their own, languages whose pools are measured besides, such as ``low``."""

    @property
    def title(self) -> str:
        """The benchmark as it was named, and what makes it differ from its default form."""
        choices = (
            self.candidates if self.candidates != "sentence" else None,
            self.split,
            "without titles" if self.passage_text == "text" else None,
        )
        return ", ".join([self.benchmark, *(choice for choice in choices if choice)])

    @property
    def label(self) -> str:
        """The title, fit for the name of a folder; of a path the last part."""
        name = self.title.rstrip("/").rsplit("/", 1)[-1]
        return re.sub(r"[^\w.]+", "-", name)


class ScoresConfig(StrictModel):
    """Where the scores of an evaluation come from, and in how much memory."""

    embeddings: str | None = None
    """Folder of embeddings: what is there is used, what is missing is encoded into it."""
    dtype: Literal["float32", "float16"] = "float32"
    """Of the embeddings written there."""
    shard_size: Positive = 100_000
    """Texts per file of embeddings; what an interrupted run loses at most."""
    runs: tuple[str, ...] = ()
    """TREC runs to measure instead of a model: ``LANG=FILE``, or a folder of ``LANG.trec``."""
    depth: Positive | None = None
    """Passages per query to take from runs; default: all."""
    memory_mb: Positive = 128
    """MiB for scores; blocks of embeddings come on top."""
