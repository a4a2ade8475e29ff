"""Which rows of a global batch a process trains on, and which texts they have.

Every process draws the same global batch and takes its own rows, so that all of them train on one
kind of batch, and on one language where it is monolingual. Slices differ by one row at most.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from isoglot.batches.plan import Batch
from isoglot.data.parallel import ABSENT

__all__ = ["ALONE", "Process", "columns_of", "slice_of"]


@dataclass(frozen=True)
class Process:
    """One of the processes that train together."""

    rank: int = 0
    count: int = 1

    def rows(self, total: int, rank: int | None = None) -> slice:
        """Return the rows of a global batch that this process, or another one, has."""
        rank = self.rank if rank is None else rank
        return slice(total * rank // self.count, total * (rank + 1) // self.count)

    def sizes(self, total: int) -> list[int]:
        """Return how many rows of a global batch each process has."""
        slices = [self.rows(total, rank) for rank in range(self.count)]
        return [rows.stop - rows.start for rows in slices]


ALONE = Process()


def slice_of(batch: Batch, rows: slice) -> Batch:
    """Return some rows of a batch."""
    return replace(
        batch,
        groups=batch.groups[rows],
        query_langs=batch.query_langs[rows],
        passage_langs=batch.passage_langs[rows],
        query_texts=batch.query_texts[rows],
        passage_texts=batch.passage_texts[rows],
        negative_texts=batch.negative_texts[rows],
        negative_langs=batch.negative_langs[rows],
        parallel_query_texts=batch.parallel_query_texts[rows],
        parallel_query_langs=batch.parallel_query_langs[rows],
        parallel_passage_texts=batch.parallel_passage_texts[rows],
        parallel_passage_langs=batch.parallel_passage_langs[rows],
    )


def columns_of(batch: Batch) -> tuple[npt.NDArray[np.int64], ...]:
    """Return the texts of a batch, column by column, in the order of their vectors."""
    queries, passages = batch.parallel_query_texts, batch.parallel_passage_texts
    return (
        batch.query_texts,
        batch.passage_texts,
        batch.negative_texts.ravel(),
        queries[queries != ABSENT],
        passages[passages != ABSENT],
    )
