"""Parallel texts of a batch as pairs, for objectives that look at their tokens side by side.

Which pairs there are is a function of the global batch; a process has those of its rows. Pairs of
like length are encoded together, and every process encodes in as many parts as the others where
``mini_batch_size`` is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor

from isoglot.batches.plan import Batch
from isoglot.config.schema import TrainingConfig
from isoglot.data.parallel import ABSENT, ParallelTable
from isoglot.data.tokens import TokenStore
from isoglot.training.inputs.collate import Collate, TextCollator, TokenCollator
from isoglot.training.inputs.lengths import count_parts, split_by_length
from isoglot.training.inputs.packing import Features, FlatPacker, Packer, PaddedPacker
from isoglot.training.inputs.ragged import Ragged
from isoglot.training.inputs.reading import Role, read
from isoglot.training.inputs.slices import Process

__all__ = [
    "Pairs",
    "Reader",
    "StoredReader",
    "TextReader",
    "pairs_towards",
    "parallel_pairs",
    "readers_of",
    "split_pairs",
]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pairs:
    """Pairs of different texts."""

    rows: IntArray
    """(pairs,) positions of their rows in the global batch."""
    first: IntArray
    """(pairs,) rows of ``ParallelTable.texts``."""
    second: IntArray
    """(pairs,)"""

    def __len__(self) -> int:
        return len(self.rows)

    def places(self, process: Process, total: int) -> IntArray:
        """Return which of the pairs are of a process's rows, ascending.

        Args:
            process: The process.
            total: Rows of the global batch.
        """
        return self._within(process.rows(total))

    def most(self, process: Process, total: int) -> int:
        """Return how many pairs the process with most of them has."""
        return max(len(self._within(process.rows(total, rank))) for rank in range(process.count))

    def take(self, places: IntArray) -> Pairs:
        """Return some of the pairs."""
        return Pairs(self.rows[places], self.first[places], self.second[places])

    def _within(self, rows: slice) -> IntArray:
        return np.flatnonzero((self.rows >= rows.start) & (self.rows < rows.stop))


def parallel_pairs(batch: Batch) -> tuple[Pairs, Pairs]:
    """Return a batch's queries with their parallel queries, and its passages with theirs."""
    return (
        _pairs(batch.query_texts, batch.parallel_query_texts),
        _pairs(batch.passage_texts, batch.parallel_passage_texts),
    )


def pairs_towards(batch: Batch, table: ParallelTable, lang: int) -> tuple[Pairs, Pairs]:
    """Return pairs of a text in another language and what says the same in one language.

    Of a row whose own text is in that language, the parallel text is the other one.

    Args:
        batch: The global batch.
        table: The groups.
        lang: Position of the language of the second texts in ``table.langs``.

    Returns:
        The pairs of queries, and those of passages.
    """
    langs = np.full(len(batch), lang)
    queries = np.where(batch.query_langs == lang, batch.parallel_query_texts, batch.query_texts)
    passages = np.where(
        batch.passage_langs == lang, batch.parallel_passage_texts, batch.passage_texts
    )
    return (
        _pairs(queries, table.query.at(batch.groups, langs)),
        _pairs(passages, table.passage.at(batch.groups, langs)),
    )


def _pairs(first: IntArray, second: IntArray) -> Pairs:
    """Return the pairs of which both texts are there; equal texts have nothing to learn from."""
    rows = np.flatnonzero((first != ABSENT) & (second != ABSENT) & (first != second))
    return Pairs(rows, first[rows], second[rows])


def split_pairs(lengths: IntArray, largest: int, training: TrainingConfig) -> Iterator[IntArray]:
    """Yield the places of pairs that are encoded together, part by part.

    Args:
        lengths: (pairs of this process,) tokens of both texts.
        largest: Pairs of the process with most of them.
        training: Bounds the texts of a part, or the number of parts.

    Yields:
        Places, of the shortest pairs first. They are none where the process has fewer pairs than
        another: it must encode all the same.
    """
    if training.mini_batch_size is not None:
        order = np.argsort(lengths, kind="stable")
        yield from np.array_split(order, count_parts(largest, training.mini_batch_size // 2))
    elif len(lengths):
        yield from split_by_length(lengths, training.length_buckets)
    else:
        yield np.zeros(0, dtype=np.int64)


class Reader(Protocol):
    """Makes an encoder's inputs of texts, all in one part."""

    def lengths(self, texts: IntArray) -> IntArray:
        """Return how long texts are, in any unit: (texts,)."""
        ...

    def read(self, texts: IntArray) -> Features:
        """Return the inputs, the texts in the order in which they come."""
        ...


@dataclass(frozen=True)
class StoredReader:
    """Gathers stored tokens."""

    store: TokenStore
    packer: Packer
    """Puts all texts into one part."""

    def lengths(self, texts: IntArray) -> IntArray:
        """Return the number of tokens: (texts,)."""
        lengths: IntArray = self.store.ends[texts] - self.store.starts[texts]
        return lengths

    def read(self, texts: IntArray) -> Features:
        """Return the inputs."""
        (features,), place = self.packer(Ragged.of_texts(self.store, texts), len(texts))
        if "offsets" in features:  # one text after another, and never in another order
            return features
        order = torch.from_numpy(place)
        return {
            name: value[order] if isinstance(value, Tensor) else value
            for name, value in features.items()
        }


@dataclass(frozen=True)
class TextReader:
    """Lets the model tokenize."""

    model: SentenceTransformer
    table: ParallelTable
    role: Role

    def lengths(self, texts: IntArray) -> IntArray:
        """Return the number of characters: (texts,)."""
        return np.array([len(text) for text in self._look_up(texts)], dtype=np.int64)

    def read(self, texts: IntArray) -> Features:
        """Return the inputs."""
        return dict(read(self.model, self._look_up(texts), self.role))

    def _look_up(self, texts: IntArray) -> Sequence[str]:
        found: list[str] = self.table.texts.take(texts).to_pylist()
        return found


def readers_of(collate: Collate) -> tuple[Reader, Reader]:
    """Return how queries and passages are read in a training.

    Args:
        collate: What the training feeds its encoder with. Its augmentation, if it has one, is for
            the contrastive loss alone: here texts are whole.
    """
    if isinstance(collate, TokenCollator):
        packer = _in_one_part(collate.packer)
        return StoredReader(collate.queries, packer), StoredReader(collate.passages, packer)
    assert isinstance(collate, TextCollator), "there is no other"
    query, passage = (TextReader(collate.model, collate.table, role) for role in collate.roles)
    return query, passage


def _in_one_part(packer: Packer) -> Packer:
    if isinstance(packer, PaddedPacker):
        return replace(packer, most_parts=1, most_texts=None)
    return FlatPacker()
