"""The configuration of objectives beside InfoNCE, on the parallel texts of a batch.

Each is off unless its section is there. What they compute is in ``isoglot.training.objectives``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from isoglot.config.loading import StrictModel
from isoglot.config.model import PretrainedConfig
from isoglot.config.types import Language, Positive

__all__ = [
    "DistillationConfig",
    "PassageAgreementConfig",
    "QueryAgreementConfig",
    "ReversedConfig",
    "TranslationModellingConfig",
    "TransportConfig",
]

Weight = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
"""Factor of an objective in the sum."""
Temperature = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class QueryAgreementConfig(StrictModel):
    """Parallel queries rank the batch's passages alike (LaKDA, arXiv 2509.06195)."""

    weight: Weight = 1.0
    temperature: Temperature = 0.05
    """Divides the scores of which the distributions are made."""


class PassageAgreementConfig(StrictModel):
    """Parallel passages have like vectors (sqrt-JSD: arXiv 2604.05684)."""

    weight: Weight = 1.0
    distance: Literal["sqrt-jsd", "cosine"] = "sqrt-jsd"
    """``sqrt-jsd``: between the softmax over each vector's dimensions; ``cosine``: 1 - cosine."""


class ReversedConfig(StrictModel):
    """Every passage finds its query among the batch's queries (CLEAR, arXiv 2604.05821)."""

    weight: Weight = 0.4
    agreement: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.0
    """Weight of the divergence between both directions' distributions; 0.2 in that paper."""


class DistillationConfig(StrictModel):
    """Texts in every language get what a teacher gives their translation (MIMO, 2605.31171)."""

    weight: Weight = 1.0
    teacher: PretrainedConfig | None = None
    """The encoder that is imitated; default: the encoder as it is before the training."""
    lang: Language = "en"
    """The teacher reads the texts of a group in this language; groups without are left out."""
    target: Literal["cosine", "mse", "scores"] = "cosine"
    """``cosine`` and ``mse``: the teacher's vectors, of equal length; ``scores``: how its queries
    rank its passages in the batch, whatever its vectors' length."""
    temperature: Temperature = 0.05
    """Of ``scores``."""


class TransportConfig(StrictModel):
    """Tokens of parallel texts meet by optimal transport (after OPTICAL, arXiv 2301.12566)."""

    weight: Weight = 1.0
    lang: Language = "en"
    """The texts in this language are what the others are moved towards."""
    epsilon: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 0.1
    """Entropy that the plan may keep."""
    iterations: Positive = 50
    """Of Sinkhorn's algorithm."""
    max_tokens: Positive = 128
    """First tokens of each text that take part; the cost grows with their square."""


class TranslationModellingConfig(StrictModel):
    """Masked tokens of a text are found with its translation beside it (TLM, 1901.07291)."""

    weight: Weight = 1.0
    masked_share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.15
    max_tokens: Positive = 128
    """Tokens of each of the two texts; the rest is cut."""
