"""What an objective on vectors gets to see: some rows of a batch, and what they are compared with.

Objectives return sums over rows, not means: a batch's rows can lie in several blocks and several
processes, and not every row has a parallel text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

__all__ = ["Block", "Side", "Taught", "VectorObjective"]


@dataclass(frozen=True)
class Side:
    """Vectors that only some rows have."""

    vectors: Tensor
    """(vectors, dim)"""
    rows: Tensor
    """(vectors,) ascending positions of their rows."""
    total: int
    """How many the global batch has."""

    def within(self, rows: slice) -> Side:
        """Return the vectors of some rows, whose positions count from the first of them."""
        if rows.start == 0 and rows.stop > int(self.rows[-1:].sum()):  # those of all rows
            return self
        inside = (self.rows >= rows.start) & (self.rows < rows.stop)
        return Side(self.vectors[inside], self.rows[inside] - rows.start, self.total)


@dataclass(frozen=True)
class Taught:
    """What a teacher gives the translations of a batch's texts."""

    queries: Side
    """Of the block's rows."""
    passages: Side
    """Of the block's rows."""
    candidates: Side
    """Of the passages of the global batch, whose rows count from its first."""


@dataclass(frozen=True)
class Block:
    """Some rows of a process."""

    queries: Tensor
    """(rows, dim)"""
    passages: Tensor
    """(rows, dim): their positives."""
    candidates: Tensor
    """(rows of the global batch, dim): all positives."""
    negatives: Tensor
    """(explicit negatives of the global batch, dim)"""
    all_queries: Tensor
    """(rows of the global batch, dim), or of no rows where no objective needs them."""
    first: int
    """The first row's position in the global batch."""
    total: int
    """Rows of the global batch."""
    parallel_queries: Side
    parallel_passages: Side
    taught: Taught | None = None


class VectorObjective(Protocol):
    """A term of the loss."""

    @property
    def weight(self) -> float:
        """Factor in the sum."""
        ...

    def highest(self, candidates: int) -> float:
        """Return a mean over rows that only an encoder which has lost its way reaches.

        Args:
            candidates: Passages that a query is scored against.
        """
        ...

    def __call__(self, block: Block) -> Tensor:
        """Return the block's share of the batch's mean: its sum over rows, by their total."""
        ...
