"""What a search needs of an index, whatever keeps it: one ranking per language.

There is no ranking over languages here. How much of the answer each language gets is the policy's
business, and an engine that groups by itself can lose languages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from isoglot.encoding.shards import Origin
from isoglot.errors import ArtifactError
from isoglot.records import Passage

__all__ = ["SAMPLE", "Candidates", "Engine", "refuse_other_encoder"]

_SAME = {
    "identity": "model",
    "dim": "dim",
    "similarity": "similarity",
    "passage_prompt": "passage_prompt",
}
"""What vectors must have in common to be compared, and what is shown of it."""

SAMPLE = 1024
"""Passages of a language whose vectors stand for all of them; see `Engine.sample`."""


@dataclass(frozen=True)
class Candidates:
    """The best passages of one language for some queries, best first."""

    keys: NDArray[Any]
    """(queries, found): what the engine knows a passage by; means nothing where the score is minus
    infinity."""
    scores: NDArray[np.float32]
    """(queries, found); minus infinity behind the last of a query that found fewer."""


class Engine(Protocol):
    """Passages in several languages, searched one language at a time."""

    @property
    def origin(self) -> Origin:
        """What made the vectors."""
        ...

    @property
    def sizes(self) -> Mapping[str, int]:
        """Passages by language, languages sorted; those without passages are left out."""
        ...

    @property
    def has_words(self) -> bool:
        """Whether BM25 can be asked."""
        ...

    def search(self, lang: str, queries: NDArray[np.float32], k: int) -> Candidates:
        """Return the ``k`` passages of a language with the highest scores, or all if fewer.

        Args:
            lang: One of ``sizes``.
            queries: (queries, dim), of length 1 where the similarity is cosine.
            k: Passages per query.
        """
        ...

    def search_words(self, lang: str, queries: Sequence[str], k: int) -> Candidates:
        """Return the ``k`` passages of a language with the highest BM25 scores above 0.

        Raises:
            ConfigError: If the index has no words.
        """
        ...

    def score(
        self, lang: str, queries: NDArray[np.float32], keys: NDArray[Any]
    ) -> NDArray[np.float32]:
        """Return the scores of named passages: (queries, keys per query).

        Args:
            lang: Their language.
            queries: (queries, dim).
            keys: (queries, keys per query), each from a search of this language.
        """
        ...

    def sample(self, lang: str) -> NDArray[np.float32]:
        """Return vectors of passages drawn at random: (up to `SAMPLE`, dim).

        They show how a query scores against passages of the language that do not answer it.
        """
        ...

    def passages(self, lang: str, keys: NDArray[Any]) -> list[Passage]:
        """Return ids and texts of some passages: (keys,). A text that is not kept is empty."""
        ...


def refuse_other_encoder(where: str, here: Origin, now: Origin, advice: str) -> None:
    """Refuse vectors that cannot be compared with those of an index.

    Raises:
        ArtifactError: If they were made otherwise.
    """
    for field, shown in _SAME.items():
        if getattr(here, field) != getattr(now, field):
            raise ArtifactError(
                f"{where} was made with {shown} {getattr(here, shown)!r}, the new embeddings with "
                f"{getattr(now, shown)!r}; vectors of different encoders cannot be compared, "
                f"{advice}"
            )
