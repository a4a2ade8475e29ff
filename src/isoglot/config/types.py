"""Types of fields that several parts of the configuration have."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from isoglot.languages import normalize_language, normalize_languages

__all__ = ["Language", "Languages", "Positive", "Seed", "Share"]

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what numpy takes, which the trainer seeds
Language = Annotated[str, AfterValidator(normalize_language)]
Languages = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(normalize_languages)]
