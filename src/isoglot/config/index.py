"""Configuration of an index."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from isoglot.config.loading import StrictModel

__all__ = ["DEFAULT_SEGMENT_ROWS", "IndexConfig", "IndexKind"]

IndexKind = Literal["flat", "hnsw", "ivf-pq"]
DEFAULT_SEGMENT_ROWS = 2_000_000


class IndexConfig(StrictModel):
    """How the vectors of each language are kept for search."""

    kind: IndexKind | None = None
    """Default: by the number of passages of a language."""
    words: bool = True
    """Keep a BM25 index of every language beside the vectors, for fusion."""
    segment_rows: Annotated[int, Field(ge=1)] = DEFAULT_SEGMENT_ROWS
    """Passages per segment at most; what is lost when a build is killed. A language that has more
    is cut into segments of one size."""
    threads: Annotated[int | None, Field(ge=1)] = None
    """Threads while encoding and building; default: all cores."""
