"""The configuration of batches, loss and optimisation.

Defaults of ``batches`` are the rules of arXiv 2408.10536; what that paper does not state is marked
"not stated" and is our choice.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from isoglot.config.loading import StrictModel
from isoglot.config.objectives import (
    DistillationConfig,
    PassageAgreementConfig,
    QueryAgreementConfig,
    ReversedConfig,
    TranslationModellingConfig,
    TransportConfig,
)
from isoglot.config.types import Positive, Seed, Share

__all__ = [
    "DEVELOPMENT",
    "BatchConfig",
    "DevelopmentConfig",
    "LossConfig",
    "Regime",
    "TrainingConfig",
]

DEVELOPMENT = "development.path"
"""Name of the development file beside the data sets, which have names of their own."""

_OBJECTIVES = (
    "query_agreement",
    "passage_agreement",
    "reversed",
    "distillation",
    "transport",
    "translation_modelling",
)
"""Sections of the loss that each add a term."""

Regime = Literal["monolingual", "cross-lingual", "hybrid"]


class BatchConfig(StrictModel):
    """How batches are drawn (arXiv 2408.10536, section 2.2)."""

    regime: Regime = "hybrid"
    monolingual_share: Share = 0.5
    """Probability that a batch of the hybrid regime is monolingual: the paper's alpha."""
    monolingual_share_end: Share | None = None
    """The share at the last batch, if it is to change on the way there; default: it does not."""
    monolingual_share_shape: Literal["linear", "step"] = "linear"
    """How it gets there: evenly, or at once in the middle of the training."""
    monolingual_from: tuple[str, ...] | None = None
    """Names of the data sets of monolingual batches; default: all."""
    cross_lingual_from: tuple[str, ...] | None = None
    """Names of the data sets of cross-lingual batches; default: all."""
    size: Positive = 100
    """Rows of a batch."""
    size_exponent: Annotated[float, Field(ge=0.0)] = 1.0
    """Data sets are drawn by their size to this power; 1 is the paper's, below 1 is smoother."""
    dataset_weights: dict[str, Annotated[float, Field(gt=0.0, allow_inf_nan=False)]] = Field(
        default_factory=dict
    )
    """Factors of how often a data set is drawn, by its name; default: 1."""
    language_exponent: Annotated[float, Field(ge=0.0)] = 0.0
    """Languages are drawn by their size to this power; 0 is the paper's uniform draw. It is
    1 / T where the literature speaks of a temperature T."""
    pair_exponent: Annotated[float, Field(ge=0.0)] | None = None
    """The same for the ordered pairs of languages; default: ``language_exponent``."""
    negatives_per_query: Annotated[int, Field(ge=0)] = 0
    """Explicit negatives; set by ``loss.negatives`` unless given."""
    negative_languages: Literal["other", "query", "any"] = "other"
    """Of the explicit negatives of a cross-lingual row. ``other``: not the query's (the paper's
    rule, section 3.1); ``query``: the query's, so that a match of languages alone is punished."""
    small_languages: Literal["error", "skip"] = "error"
    """What to do with a language that cannot fill a monolingual batch."""

    def share_at(self, progress: float) -> float:
        """Return the probability that a batch is monolingual.

        Args:
            progress: Share of the batches before this one, 0 to 1.
        """
        first, last = self.share_range
        if self.monolingual_share_shape == "step":
            return first if progress < 0.5 else last
        return first + (last - first) * progress

    @property
    def share_range(self) -> tuple[float, float]:
        """The probability at the first batch and at the last."""
        if self.regime != "hybrid":
            share = 1.0 if self.regime == "monolingual" else 0.0
            return share, share
        last = self.monolingual_share_end
        return self.monolingual_share, self.monolingual_share if last is None else last


class LossConfig(StrictModel):
    """InfoNCE over cosine similarity, and objectives beside it."""

    contrastive_weight: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 1.0
    """Factor of InfoNCE in the sum."""
    temperature: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 0.05
    """Divides the scores; not stated in the paper (its equation has none, which is 1.0)."""
    negatives: Literal["in-batch", "explicit", "both"] = "in-batch"
    """``in-batch``: the other rows' passages; ``explicit``: every row's explicit negatives, as
    equation 1 of the paper is printed; ``both``: all of them."""
    matryoshka_dims: tuple[Positive, ...] = ()
    """Also train the first so many dimensions to serve alone (arXiv 2205.13147); the loss is the
    mean over these lengths and the full one."""
    query_agreement: QueryAgreementConfig | None = None
    passage_agreement: PassageAgreementConfig | None = None
    reversed: ReversedConfig | None = None
    distillation: DistillationConfig | None = None
    transport: TransportConfig | None = None
    translation_modelling: TranslationModellingConfig | None = None

    @property
    def needs_parallel_texts(self) -> bool:
        """Whether batches must hold their texts in a second language, too."""
        return any(
            objective is not None
            for objective in (
                self.query_agreement,
                self.passage_agreement,
                self.transport,
                self.translation_modelling,
            )
        )

    @model_validator(mode="after")
    def _something_to_train(self) -> Self:
        if self.contrastive_weight == 0 and not self._objectives():
            raise ValueError(
                "contrastive_weight: 0 leaves nothing to train; add an objective, such as "
                "distillation"
            )
        if self.contrastive_weight == 0 and self.matryoshka_dims:
            raise ValueError(
                "matryoshka_dims: only InfoNCE trains them; set contrastive_weight above 0 or take "
                "them out"
            )
        return self

    def _objectives(self) -> list[str]:
        return [name for name in _OBJECTIVES if getattr(self, name) is not None]

    @model_validator(mode="after")
    def _distinct_dims(self) -> Self:
        if len(set(self.matryoshka_dims)) < len(self.matryoshka_dims):
            raise ValueError(f"matryoshka_dims: {list(self.matryoshka_dims)} names one twice")
        return self


class TrainingConfig(StrictModel):
    """The optimisation; AdamW throughout."""

    steps: Positive = 1000
    """Optimizer steps."""
    learning_rate: Annotated[float, Field(gt=0.0)] = 3e-5
    weight_decay: Annotated[float, Field(ge=0.0)] = 1e-2
    warmup_share: Share = 0.1
    """Share of the steps with rising learning rate; not stated in the paper."""
    schedule: Literal["linear", "cosine", "inverse-sqrt", "constant"] = "linear"
    """Of the learning rate after its rise. Not stated in the paper."""
    gradient_accumulation: Positive = 1
    """Batches per optimizer step."""
    max_grad_norm: Annotated[float, Field(ge=0.0)] = 1.0
    """Gradients are clipped to this norm; 0 switches clipping off."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """``auto``: bf16 where the processor or GPU computes in it, else fp32. Loss, weights and
    optimizer are fp32 in any case."""
    mini_batch_size: Annotated[int, Field(ge=2)] | None = None
    """Texts encoded at a time, by gradient caching (arXiv 2101.06983): the gradient stays that of
    the whole batch, and memory no longer grows with ``batches.size``. Default: no caching."""
    length_buckets: Positive = 8
    """A batch is encoded in at most so many parts of texts of like length, each padded to its own
    longest text; 1 pads all to the batch's longest. With ``mini_batch_size`` that decides."""
    seed: Seed = 0
    log_every: Positive = 50
    """Steps between two lines of the log."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes that prepare batches; 0 prepares them in the training process."""
    sharding: Literal["none", "full"] = "none"
    """``full``: weights, gradients and optimizer are spread over the processes (FSDP2)."""
    report_to: tuple[str, ...] = ()
    """Experiment trackers of transformers, such as ``tensorboard``."""


class DevelopmentConfig(StrictModel):
    """The development set that selects the checkpoint; never a benchmark."""

    groups: Annotated[int, Field(ge=0)] = 200
    """Training groups to hold out; 0 keeps the last checkpoint. With ``path``: how many of its
    groups to use, 0 for all."""
    path: str | None = None
    """Parallel groups to use instead of held-out ones; ``mini`` stands for the training groups of
    the embedded collection, ``./mini`` for a file of that name."""
    every: Positive | None = None
    """Steps between two evaluations, and between two checkpoints; default: a tenth of the
    steps."""
    measure: str = "AP"
    """Averaged over the settings that exist: monolingual, cross-lingual, multilingual."""
