"""The configuration of corrections: what is removed from a trained encoder, learned from what."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from isoglot.config.loading import StrictModel
from isoglot.config.model import ModelConfig
from isoglot.config.sources import SourceConfig
from isoglot.config.types import Language, Languages, Positive, Seed

__all__ = ["CorrectConfig", "CorrectionConfig", "Method"]

Method = Literal["mean", "lir", "lsar", "shift", "wccn"]


class CorrectionConfig(StrictModel):
    """What is removed from the vectors, and the texts from which it is learned."""

    method: Method = "lsar"
    """``mean``: the mean vector of a text's language. ``lir``: the first singular vectors of its
    language (arXiv 2109.04727). ``lsar``: from every text, the directions in which the means of the
    languages differ (EMNLP 2022). ``shift``: from passages, the mean difference between a
    language's texts and their translations in ``lang`` (arXiv 2606.18801). ``wccn``: nothing
    is removed; the directions in which translations differ are made shorter (Hatch et al. 2006)."""
    components: Positive | None = None
    """``lir`` and ``lsar`` only: how many directions; default: 1 per language for ``lir``, as many
    as languages for ``lsar``."""
    power: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """``wccn`` only: the variance of translations to this power is divided out; default: 0.3,
    0.5 leaves them the same variance in every direction."""
    texts_per_language: Annotated[int, Field(ge=2)] = 10_000
    """Most texts per language, drawn at random; for ``shift`` most pairs, for ``wccn`` most groups
    of a data set."""
    lang: Language = "en"
    """``shift`` only: the language whose vectors stay as they are."""
    languages: Languages | None = None
    """Learn from these languages only; default: all."""
    seed: Seed = 0
    """Which texts are drawn."""
    data: Annotated[tuple[SourceConfig, ...], Field(min_length=1)]
    """Data sets of parallel texts; their passages are used."""

    @model_validator(mode="after")
    def _components_are_used(self) -> Self:
        if self.components is not None and self.method not in ("lir", "lsar"):
            raise ValueError(
                f"components: {self.method} has none; take components out, or set method to lir "
                "or lsar"
            )
        if self.power is not None and self.method != "wccn":
            raise ValueError(
                f"power: {self.method} has none; take power out, or set method to wccn"
            )
        return self

    @model_validator(mode="after")
    def _reference_is_read(self) -> Self:
        langs = self.languages
        if self.method == "shift" and langs is not None and self.lang not in langs:
            raise ValueError(
                f"lang: {self.lang!r} is not among languages: {', '.join(langs)}; shift needs it"
            )
        return self

    @model_validator(mode="after")
    def _distinct_names(self) -> Self:
        labels = [source.label for source in self.data]
        if repeated := {label for label in labels if labels.count(label) > 1}:
            raise ValueError(f"data: name {sorted(repeated)[0]!r} is used twice; set 'name'")
        return self


class CorrectConfig(StrictModel):
    """``isoglot correct``."""

    model: ModelConfig
    correction: CorrectionConfig
