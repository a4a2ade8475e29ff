"""The configuration of one data set of training groups."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from isoglot.config.loading import StrictModel
from isoglot.config.types import Language

__all__ = ["SourceConfig"]


class SourceConfig(StrictModel):
    """One data set of training groups."""

    path: str
    """File, folder or, for ``format: hub``, a Hugging Face data set."""
    format: Literal["groups", "bitext", "squad", "afriqa", "hub"] = "groups"
    name: str | None = None
    """Name in logs and in the census; default: the file's name."""
    language: Language | None = None
    """Language of a ``squad`` file."""
    sources: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """``bitext`` only: read the rows with one of these in their field ``source``; default: all."""
    query_column: str = "query"
    """``hub`` only, like the columns below and ``revision``."""
    passage_column: str = "passage"
    query_lang: str | None = None
    """Language of the queries, or the column that holds it."""
    passage_lang: str | None = None
    negative_columns: tuple[str, ...] = ()
    id_column: str | None = None
    split: str = "train"
    """``afriqa``, whose path is a folder, and ``hub``."""
    revision: str | None = None

    @model_validator(mode="after")
    def _needs(self) -> Self:
        if self.format == "squad" and self.language is None:
            raise ValueError(f"{self.path}: a squad file needs its 'language'")
        if self.format != "bitext" and self.sources is not None:
            raise ValueError(f"{self.path}: 'sources' are for format: bitext, not {self.format}")
        return self

    @property
    def label(self) -> str:
        """The name, or the file's name without endings."""
        return self.name or Path(self.path).name.split(".")[0]
