"""What the service needs of a search, whatever is behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from isoglot.config.search import SearchConfig

__all__ = ["Found", "Searches"]


class Found(Protocol):
    """One passage of an answer."""

    @property
    def doc_id(self) -> str:
        """Unique in the index."""
        ...

    @property
    def lang(self) -> str:
        """Language of the passage."""
        ...

    @property
    def text(self) -> str:
        """What it says; empty if the index keeps no texts."""
        ...

    @property
    def score(self) -> float:
        """What the policy ranked by."""
        ...

    @property
    def similarity(self) -> float:
        """Of its vector and the query's."""
        ...


class Searches(Protocol):
    """Passages in several languages that can be searched. One thread calls at a time."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Passages by language."""
        ...

    @property
    def has_words(self) -> bool:
        """Whether rankings can be fused with BM25's."""
        ...

    def search(self, queries: Sequence[str], config: SearchConfig) -> Sequence[Sequence[Found]]:
        """Return the passages of every query, best first.

        Args:
            queries: Any number.
            config: How many passages, in which languages, by which policy.
        """
        ...

    def refresh(self) -> bool:
        """Open the index anew if it was changed, and say whether it was; cheap to call."""
        ...
