"""The configuration of hard negative mining."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator
from typing_extensions import Self

from isoglot.config.loading import StrictModel
from isoglot.config.types import Positive

__all__ = ["MiningConfig"]

Count = Annotated[int, Field(ge=0)]


class MiningConfig(StrictModel):
    """How many hard negatives every query gets, and what is too likely an answer to be one."""

    same_language: Count = 2
    """Negatives in the query's language."""
    cross_language: Count = 2
    """Negatives in other languages, shared out among them."""
    max_share: Annotated[float, Field(gt=0.0, le=1.0)] | None = 0.95
    """A negative scores below this share of what the positive scores (TopK-PercPos of arXiv
    2407.15831, whose value is the default); null: no such limit."""
    margin: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.0
    """A negative scores lower than the positive by more than this, in the encoder's similarity
    (TopK-MarginPos of arXiv 2407.15831); 0: no such limit."""
    skip: Count = 0
    """Best-scored passages of other meanings that are left out in each language, because they may
    be unlabelled answers (Top-K shifted by N in arXiv 2407.15831)."""
    keep_listed: bool = True
    """Keep the negatives that groups list already, before the mined ones."""
    batch_size: Positive | None = None
    """Texts encoded at a time; default: by the kind of encoder."""
    memory_mb: Positive = 128
    """MiB for scores; a block of embeddings and what was found come on top."""

    @model_validator(mode="after")
    def _something_to_mine(self) -> Self:
        if self.same_language == 0 and self.cross_language == 0:
            raise ValueError(
                "same_language and cross_language are both 0, so there is nothing to mine; set "
                "one of them to 1 or more"
            )
        return self
