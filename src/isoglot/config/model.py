"""The configuration of encoders: one to start from, or a static one built from nothing."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from isoglot.config.loading import StrictModel
from isoglot.config.types import Positive, Share

__all__ = ["LoraConfig", "ModelConfig", "PretrainedConfig", "StaticModelConfig"]


class LoraConfig(StrictModel):
    """A low-rank adapter that is trained instead of the encoder's weights (arXiv 2106.09685)."""

    rank: Positive = 16
    alpha: Annotated[float, Field(gt=0.0)] = 32.0
    """The adapter's output is scaled by ``alpha / rank``."""
    dropout: Share = 0.05
    targets: tuple[str, ...] = ()
    """Names of the layers that get an adapter; default: every linear layer of the transformer."""


class PretrainedConfig(StrictModel):
    """An encoder that is there, and how it reads texts."""

    name: str
    """Folder or hub name."""
    revision: str | None = None
    """Hub commit or tag."""
    pooling: Literal["mean", "cls"] | None = None
    """For encoders that come without pooling; not stated in the paper. Default: mean."""
    query_prompt: str | None = None
    """Put before every query, such as ``"Query: "``; stored with the model."""
    passage_prompt: str | None = None
    max_tokens: Positive | None = None
    """Longer texts are cut; default: what the encoder states. Not stated in the paper."""


class ModelConfig(PretrainedConfig):
    """The encoder to start from."""

    lora: LoraConfig | None = None
    """Train an adapter instead of all weights; it is merged into the saved encoder."""


class StaticModelConfig(StrictModel):
    """A static encoder built from nothing: subword vectors, averaged."""

    vocabulary: Positive = 48_000
    """Most unigram subwords."""
    dim: Positive = 384
    sentences_per_language: Positive = 50_000
    """Most sentences per language from which the subwords are learned."""
    saved_dim: Positive | None = None
    """Length of the vectors in the saved model, by principal components; default: ``dim``."""
    saved_as: Literal["float32", "int8"] = "float32"
    """``int8``: one byte per number and a scale per subword, a quarter of the size."""

    @model_validator(mode="after")
    def _saved_dim_is_there(self) -> Self:
        if self.saved_dim is not None and self.saved_dim > self.dim:
            raise ValueError(f"saved_dim: {self.saved_dim} is more than dim: {self.dim}")
        return self
