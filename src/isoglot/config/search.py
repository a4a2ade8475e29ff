"""Configuration of a search: the policy by which languages share the answer, and fusion."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from isoglot.config.loading import StrictModel
from isoglot.config.types import Language, Languages, Positive

__all__ = ["MOST_RESULTS", "POLICIES", "Policy", "SearchConfig"]

Policy = Literal["score", "balanced", "quota"]
POLICIES: tuple[Policy, ...] = ("score", "balanced", "quota")
MOST_RESULTS = 1000
"""Passages per query at most."""


class SearchConfig(StrictModel):
    """How a query is answered."""

    k: Annotated[int, Field(ge=1, le=MOST_RESULTS)] = 10
    """Passages per query."""
    policy: Policy = "score"
    """``score``: one ranking by similarity. ``balanced``: the more passages of a language there
    are, the more similar the next one must be. ``quota``: so many passages per language."""
    languages: Languages | None = None
    """Languages of passages; default: all of the index."""
    quota: Positive | dict[Language, Positive] | None = None
    """With policy ``quota``: passages per language, or by language; default: equal shares of
    ``k``."""
    balance: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.12
    """With policy ``balanced``: what the second passage of a language pays, in standard deviations
    of the query's scores; the third pays 4 times as much, the fourth 9 times."""
    words: bool = False
    """Fuse the ranking of every language with its BM25 ranking."""

    @model_validator(mode="after")
    def _quota_needs_its_policy(self) -> Self:
        if self.quota is not None and self.policy != "quota":
            raise ValueError(f"quota is of policy 'quota', and the policy is {self.policy!r}")
        return self
