"""How much of a benchmark with published figures an evaluation is of."""

from __future__ import annotations

from collections.abc import Iterable

from isoglot.reporting.published import published_languages

__all__ = ["is_papers", "tell_missing"]


def is_papers(benchmark: str) -> bool:
    """Whether a benchmark is one of the paper's, by its name without options."""
    return benchmark in published_languages()


def tell_missing(benchmark: str, langs: Iterable[str]) -> str | None:
    """Return ``evaluated in 2 of 11 languages``, or None if none of the paper's is missing."""
    wanted = published_languages().get(benchmark, frozenset())
    found = wanted & set(langs)
    if found == wanted:
        return None
    return f"evaluated in {len(found)} of {len(wanted)} languages"
