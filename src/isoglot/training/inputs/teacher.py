"""What a teacher gives the texts of one language, made once and looked up for every batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypedDict

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor

from isoglot.batches.plan import Batch
from isoglot.config.model import ModelConfig
from isoglot.config.objectives import DistillationConfig
from isoglot.data.parallel import ABSENT, ParallelTable
from isoglot.data.prepared.views import Cells
from isoglot.errors import ConfigError
from isoglot.models.loading import load_encoder
from isoglot.progress import progress_bar
from isoglot.training.inputs.reading import read_alike, training_roles
from isoglot.training.inputs.slices import Process

__all__ = ["TaughtInputs", "Teacher", "load_teacher"]

_BATCH = 64
_AT_A_TIME = 4_096
"""Texts that are looked up and encoded at a time."""

IntArray = npt.NDArray[np.int64]


class TaughtInputs(TypedDict):
    """A teacher's vectors for a batch; rows without are left out."""

    queries: Tensor
    """(this process's queries, dim)"""
    query_rows: Tensor
    """Positions of their rows in this process."""
    query_total: int
    """Number in the global batch."""
    passages: Tensor
    """(passages of the global batch, dim)"""
    passage_rows: Tensor
    """Positions of their rows in the global batch."""


class Teacher:
    """The vectors of all queries and passages in one language, in the memory of every process.

    Four bytes for each number: a million texts of 768 dimensions take 3 GB.

    Args:
        model: The teacher.
        table: The training groups.
        config: Names one of the groups' languages.
        report: Takes lines for the reader.

    Raises:
        ConfigError: If scores are wanted and there are no passages to score.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        table: ParallelTable,
        config: DistillationConfig,
        report: Callable[[str], object],
    ) -> None:
        self._table = table
        self._lang = table.langs.index(config.lang)
        self._query_rows = _texts_of(table.query, self._lang)
        self._passage_rows = _texts_of(table.passage, self._lang)
        if config.target == "scores" and not (len(self._query_rows) and len(self._passage_rows)):
            raise ConfigError(
                f"loss.distillation.target: scores need queries and passages in {config.lang}, of "
                f"which the data has {len(self._query_rows)} and {len(self._passage_rows)}; set "
                "lang to another language, or target to cosine"
            )
        report(f"the teacher reads {len(self._query_rows) + len(self._passage_rows):,} texts")
        self._queries = _encode(model, table, self._query_rows, "query")
        same = np.array_equal(self._query_rows, self._passage_rows)
        if same and read_alike(model, *training_roles(model)):
            self._passages = self._queries
        else:
            self._passages = _encode(model, table, self._passage_rows, "document")

    def look_up(self, batch: Batch, process: Process) -> TaughtInputs:
        """Return what the teacher gives the translations of a batch's texts.

        Args:
            batch: The global batch.
            process: Whose queries are wanted.
        """
        queries = self._table.query.at(batch.groups, np.full(len(batch), self._lang))
        passages = self._table.passage.at(batch.groups, np.full(len(batch), self._lang))
        own = process.rows(len(batch))
        query_rows = np.flatnonzero(queries[own] != ABSENT)
        passage_rows = np.flatnonzero(passages != ABSENT)
        return {
            "queries": self._queries[_find(self._query_rows, queries[own][query_rows])],
            "query_rows": torch.from_numpy(query_rows),
            "query_total": int((queries != ABSENT).sum()),
            "passages": self._passages[_find(self._passage_rows, passages[passage_rows])],
            "passage_rows": torch.from_numpy(passage_rows),
        }


def load_teacher(
    model: SentenceTransformer,
    table: ParallelTable,
    config: DistillationConfig | None,
    report: Callable[[str], object],
) -> Teacher | None:
    """Let a config's teacher read the training groups; None if nothing is distilled.

    Args:
        model: The encoder that is to be trained, as it is before.
        table: The training groups.
        config: Names the teacher and its language.
        report: Takes lines for the reader.

    Raises:
        ConfigError: If the teacher's vectors are not of the encoder's length, or it has no text.
        ModelError: If it cannot be loaded.
    """
    if config is None:
        return None
    if config.lang not in table.langs:
        raise ConfigError(
            f"loss.distillation.lang: no training text in {config.lang}; "
            f"the data has {', '.join(table.langs)}"
        )
    if config.teacher is None:
        return Teacher(model, table, config, report)
    name = config.teacher.name
    teacher = load_encoder(ModelConfig(**config.teacher.model_dump(exclude_none=True)))
    dim, own = teacher.get_embedding_dimension(), model.get_embedding_dimension()
    if config.target != "scores" and dim != own:
        raise ConfigError(
            f"loss.distillation.teacher: {name} has {dim} dimensions and the encoder {own}; "
            "set loss.distillation.target: scores, or name a teacher of equal length"
        )
    return Teacher(teacher, table, config, report)


def _texts_of(cells: Cells, lang: int) -> IntArray:
    """Return the rows of the different texts in a language, ascending."""
    column = cells.choose_langs(np.array([lang]))
    found = [np.unique(block) for _, block in column.blocks()]
    rows: IntArray = np.setdiff1d(np.concatenate(found), [ABSENT]).astype(np.int64)
    return rows


def _find(rows: IntArray, wanted: IntArray) -> Tensor:
    return torch.from_numpy(np.searchsorted(rows, wanted))


def _encode(
    model: SentenceTransformer,
    table: ParallelTable,
    rows: IntArray,
    task: Literal["query", "document"],
) -> Tensor:
    """Encode texts with the prompt of their task: (texts, dim)."""
    encode = model.encode_query if task == "query" else model.encode_document
    vectors = torch.empty(len(rows), model.get_embedding_dimension() or 0)
    with progress_bar("teacher", len(rows), "text") as bar:
        for start in range(0, len(rows), _AT_A_TIME):
            some = slice(start, start + _AT_A_TIME)
            texts = table.texts.take(rows[some]).to_pylist()
            vectors[some] = encode(
                texts, batch_size=_BATCH, convert_to_tensor=True, show_progress_bar=False
            ).cpu()
            bar.update(len(texts))
    return vectors
