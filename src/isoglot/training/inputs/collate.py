"""Planned batches to model inputs: stored tokens, in parts of like length.

The texts of a batch are its queries, its passages and its explicit negatives, in this order.
``TokenCollator`` gathers tokens made once. ``TextCollator`` serves encoders whose inputs are more
than tokens, and lets them tokenize at every visit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor
from torch.utils.data import Dataset

from isoglot.batches.plan import Batch, BatchPlan
from isoglot.data.parallel import ParallelTable
from isoglot.data.tokens import TokenStore
from isoglot.training.inputs.augment import Augmentation
from isoglot.training.inputs.lengths import count_parts
from isoglot.training.inputs.packing import Features, Packer
from isoglot.training.inputs.ragged import Ragged
from isoglot.training.inputs.reading import Role, read
from isoglot.training.inputs.slices import ALONE, Process, slice_of

__all__ = ["Collate", "Inputs", "Parts", "PlannedBatches", "TextCollator", "TokenCollator"]


class Parts(NamedTuple):
    """Texts, ready for the model."""

    features: list[Features]
    """Parts that are encoded in one go each."""
    place: npt.NDArray[np.int64]
    """(texts,): where a text comes when the parts are encoded one after another."""


class Inputs(TypedDict):
    """What a process trains on in one batch."""

    features: list[Features]
    place: Tensor
    index: int
    kind: str
    rows: int
    """Rows of this process."""
    total: int
    """Rows of the global batch."""


Collate = Callable[[Batch, Process], Parts]
"""Turns a process's rows of a batch into parts, as many as every other process has."""


class PlannedBatches(Dataset[Inputs]):
    """Item i is what a process trains on of planned batch i.

    Args:
        plan: The batches.
        collate: Turns rows into model inputs.
        count: Number of batches of the run.
        process: The process that trains.
    """

    def __init__(
        self, plan: BatchPlan, collate: Collate, count: int, process: Process = ALONE
    ) -> None:
        self.plan = plan
        self.collate = collate
        self.count = count
        self.process = process

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Inputs:
        batch = self.plan.batch(index)
        rows = self.process.rows(len(batch))
        features, place = self.collate(batch, self.process)
        return {
            "features": features,
            "place": torch.from_numpy(place),
            "index": index,
            "kind": batch.kind,
            "rows": rows.stop - rows.start,
            "total": len(batch),
        }


class TextCollator:
    """Looks texts up and lets the model tokenize them.

    Args:
        model: The encoder.
        table: The texts.
        query: How queries are read.
        passage: How passages are read.
        most_texts: Most texts of a part; default: queries are a part, and passages are.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        table: ParallelTable,
        query: Role,
        passage: Role,
        most_texts: int | None = None,
    ) -> None:
        self._model = model
        self._table = table
        self._roles = (query, passage)
        self._most_texts = most_texts

    def __call__(self, batch: Batch, process: Process) -> Parts:
        """Return the parts of a process's rows, in the order of the texts."""
        most = process.most_rows(len(batch))
        batch = slice_of(batch, process.rows(len(batch)))
        each = 1 + batch.negative_texts.shape[1]
        passages = np.concatenate([batch.passage_texts, batch.negative_texts.ravel()])
        features: list[Features] = []
        for role, texts, largest in zip(
            self._roles, (batch.query_texts, passages), (most, each * most), strict=True
        ):
            for rows in np.array_split(texts, count_parts(largest, self._most_texts)):
                part = self._table.texts.take(rows).to_pylist()
                features.append(dict(read(self._model, part, role)))
        return Parts(features, np.arange(len(batch) + len(passages)))


class TokenCollator:
    """Gathers stored tokens and packs them as the encoder wants them.

    Args:
        queries: Tokens of the queries, prompt included.
        passages: Tokens of the passages; may be the same store.
        packer: Makes the encoder's inputs.
        augmentation: Shortens texts anew at every visit; default: texts are taken as they are.
    """

    def __init__(
        self,
        queries: TokenStore,
        passages: TokenStore,
        packer: Packer,
        augmentation: Augmentation | None = None,
    ) -> None:
        self._queries = queries
        self._passages = passages
        self._packer = packer
        self._augmentation = augmentation

    def __call__(self, batch: Batch, process: Process) -> Parts:
        """Return the parts of a process's rows."""
        rows, each = process.rows(len(batch)), batch.negative_texts.shape[1]
        largest = process.most_rows(len(batch)) * (2 + each)
        if self._augmentation is None:
            batch = slice_of(batch, rows)
            columns = [
                Ragged.of_texts(self._queries, batch.query_texts),
                Ragged.of_texts(self._passages, batch.passage_texts),
                Ragged.of_texts(self._passages, batch.negative_texts.ravel()),
            ]
        else:
            # What is left of a text depends on the batch, not on which process trains on it.
            whole = self._augmentation(batch, self._queries, self._passages)
            negatives = slice(rows.start * each, rows.stop * each)
            columns = [
                column.cut(part)
                for column, part in zip(whole, (rows, rows, negatives), strict=True)
            ]
        return Parts(*self._packer(Ragged.join(columns), largest))
