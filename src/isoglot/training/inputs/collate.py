"""Planned batches to model inputs: stored tokens, in parts of like length.

The texts of a batch are its queries, its passages and its explicit negatives, then its parallel
queries and its parallel passages, as far as there are any, in this order.
``TokenCollator`` gathers tokens made once. ``TextCollator`` serves encoders whose inputs are more
than tokens, and lets them tokenize at every visit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor
from torch.utils.data import Dataset

from isoglot.batches.plan import Batch, BatchPlan
from isoglot.config.schema import LossConfig
from isoglot.data.parallel import ABSENT, ParallelTable
from isoglot.data.tokens import TokenStore
from isoglot.training.inputs.augment import Augmentation
from isoglot.training.inputs.lengths import count_parts
from isoglot.training.inputs.packing import Features, Packer
from isoglot.training.inputs.ragged import Ragged
from isoglot.training.inputs.reading import Role, read
from isoglot.training.inputs.slices import ALONE, Process, columns_of, slice_of
from isoglot.training.inputs.teacher import TaughtInputs, Teacher
from isoglot.training.objectives.tokens import TokenObjective

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
    negatives: int
    """Explicit negatives of a row."""
    parallel_query_rows: Tensor
    """Positions of the rows of this process that have a parallel query."""
    parallel_query_total: int
    """Their number in the global batch."""
    parallel_passage_rows: Tensor
    parallel_passage_total: int
    taught: TaughtInputs | None
    """What a teacher says, if there is one."""
    tokens: list[Any]
    """What each objective on tokens trains on."""


Collate = Callable[[Batch, Process], Parts]
"""Turns a process's rows of a batch into parts, as many as every other process has."""


class PlannedBatches(Dataset[Inputs]):
    """Item i is what a process trains on of planned batch i.

    Args:
        plan: The batches.
        collate: Turns rows into model inputs.
        count: Number of batches of the run.
        process: The process that trains.
        loss: Says which of the rows' parallel texts are encoded; default: none.
        teacher: Looks up what a teacher says.
        tokens: Objectives on tokens, which have inputs of their own, with their weights.
    """

    def __init__(
        self,
        plan: BatchPlan,
        collate: Collate,
        count: int,
        process: Process = ALONE,
        *,
        loss: LossConfig | None = None,
        teacher: Teacher | None = None,
        tokens: Sequence[tuple[float, TokenObjective]] = (),
    ) -> None:
        self.plan = plan
        self.collate = collate
        self.count = count
        self.process = process
        self.loss = loss or LossConfig()
        self.teacher = teacher
        self.tokens = tokens

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Inputs:
        whole = self.plan.batch(index)
        batch = self._compared(whole)
        rows = self.process.rows(len(batch))
        features, place = self.collate(batch, self.process)
        return {
            "features": features,
            "place": torch.from_numpy(place),
            "index": index,
            "kind": batch.kind,
            "rows": rows.stop - rows.start,
            "total": len(batch),
            "negatives": batch.negative_texts.shape[1],
            "parallel_query_rows": _present(batch.parallel_query_texts[rows]),
            "parallel_query_total": int((batch.parallel_query_texts != ABSENT).sum()),
            "parallel_passage_rows": _present(batch.parallel_passage_texts[rows]),
            "parallel_passage_total": int((batch.parallel_passage_texts != ABSENT).sum()),
            "taught": self.teacher.look_up(batch, self.process) if self.teacher else None,
            "tokens": [objective.inputs(whole, self.process) for _, objective in self.tokens],
        }

    def _compared(self, batch: Batch) -> Batch:
        """Return a batch with those parallel texts only whose vectors an objective compares."""
        nothing = np.full(len(batch), ABSENT, dtype=np.int64)
        queries = batch.parallel_query_texts if self.loss.query_agreement else nothing
        passages = batch.parallel_passage_texts if self.loss.passage_agreement else nothing
        return replace(batch, parallel_query_texts=queries, parallel_passage_texts=passages)


def _present(texts: npt.NDArray[np.int64]) -> Tensor:
    """Return the positions of the texts that there are."""
    return torch.from_numpy(np.flatnonzero(texts != ABSENT))


_READ_AS = ((0, 3), (1, 2, 4))
"""Which of the columns are read as queries, and which as passages."""


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
        self.model = model
        self.table = table
        self.roles = (query, passage)
        self._most_texts = most_texts

    def __call__(self, batch: Batch, process: Process) -> Parts:
        """Return the parts of a process's rows, in the order of the texts."""
        slices = [slice_of(batch, process.rows(len(batch), rank)) for rank in range(process.count)]
        own = columns_of(slices[process.rank])
        sizes = [[len(column) for column in columns_of(part)] for part in slices]
        features: list[Features] = []
        encoded: list[npt.NDArray[np.int64]] = []
        places = np.split(np.arange(sum(map(len, own))), np.cumsum([len(c) for c in own])[:-1])
        for role, columns in zip(self.roles, _READ_AS, strict=True):
            texts = np.concatenate([own[column] for column in columns])
            encoded.extend(places[column] for column in columns)
            largest = max(sum(size[column] for column in columns) for size in sizes)
            for rows in np.array_split(texts, count_parts(largest, self._most_texts)):
                part = self.table.texts.take(rows).to_pylist()
                features.append(dict(read(self.model, part, role)))
        order = np.concatenate(encoded)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        return Parts(features, place)


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
        self.queries = queries
        self.passages = passages
        self.packer = packer
        self._augmentation = augmentation

    def __call__(self, batch: Batch, process: Process) -> Parts:
        """Return the parts of a process's rows."""
        slices = [slice_of(batch, process.rows(len(batch), rank)) for rank in range(process.count)]
        sizes = [[len(column) for column in columns_of(part)] for part in slices]
        if self._augmentation is None:
            stores = (self.queries, self.passages, self.passages, self.queries, self.passages)
            texts = columns_of(slices[process.rank])
            columns = list(map(Ragged.of_texts, stores, texts))
        else:
            # What is left of a text depends on the batch, not on which process trains on it.
            whole = self._augmentation(batch, self.queries, self.passages)
            starts = np.sum(sizes[: process.rank], axis=0, dtype=np.int64, initial=0)
            columns = [
                column.cut(slice(int(start), int(start) + size))
                for column, start, size in zip(
                    whole, np.broadcast_to(starts, len(whole)), sizes[process.rank], strict=True
                )
            ]
        return Parts(*self.packer(Ragged.join(columns), max(map(sum, sizes))))
