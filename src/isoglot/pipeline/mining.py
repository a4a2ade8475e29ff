"""A training config and an encoder to data sets with hard negatives.

Every different text is encoded once, into files beside the output that are gone in the end; scores
are made block by block. So memory holds the groups, what was found, and one block.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from isoglot.artifacts import atomic_write, provenance
from isoglot.config.mining import MiningConfig
from isoglot.config.schema import AlignConfig, ModelConfig, TrainConfig
from isoglot.data.groups import write_groups
from isoglot.data.leakage import LeakageReport
from isoglot.data.mining import Mined, mine_dataset
from isoglot.data.parallel import ABSENT, ParallelTable
from isoglot.errors import DataError, ModelError
from isoglot.evaluation.scoring import VectorScorer
from isoglot.evaluation.vectors import SIMILARITIES, prepare_vectors
from isoglot.pipeline.evaluation import load_audited
from isoglot.pipeline.mined_groups import (
    MiningOutput,
    claim_output,
    describe_shortage,
    mined_record,
    with_negatives,
)
from isoglot.pipeline.sources import audit_data, load_training_data, read_source
from isoglot.progress import progress_bar
from isoglot.training.run_folder import hash_data

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["run_mining"]

_TEXTS_PER_CALL = 4096
"""Texts handed to the encoder between two steps of the progress bar."""
_BLOCK_PASSAGES = 16_384
_BLOCK_QUERIES = 65_536
_TILE_QUERIES = 1024
"""Most queries of one matrix product; more make it no faster."""
_BYTES_PER_SCORE = 12
"""The score, its copy for the choice, and what comparisons write."""
_NAME_LETTERS = 60

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
Report = Callable[[str], object]
Role = Literal["query", "passage"]


def _unheard(line: str) -> None: ...


def run_mining(
    config: TrainConfig | AlignConfig,
    model: ModelConfig,
    mining: MiningConfig,
    output: Path,
    *,
    overwrite: bool = False,
    report: Report = _unheard,
    show_progress: bool = True,
) -> MiningOutput:
    """Mine hard negatives for every training query of a config, and write its data sets with them.

    Development groups, and groups that ``leave_out_leaks`` takes out, are neither mined nor used;
    the files hold them as they were.

    Args:
        config: Names the data sets, the languages, and what is not trained on.
        model: The encoder that scores.
        mining: Quotas and limits.
        output: A file for the only data set, or a folder with a file for each.
        overwrite: Whether to replace an earlier result.
        report: Takes lines for the reader.
        show_progress: Show progress bars with rate and time left.

    Returns:
        What was written.

    Raises:
        IsoglotError: If config, data, model or output cannot be used.
    """
    claimed = claim_output(output, config.data, overwrite=overwrite)
    hashes = hash_data(config)
    leaks: Sequence[LeakageReport] = ()
    if config.leave_out_leaks:
        leaks = audit_data(config, [load_audited(audited) for audited in config.audit])
    table = load_training_data(config, leaks).table
    _refuse_single_meanings(table)
    encoder = _load(model)
    with claimed.start() as folder:
        scores = _embed(encoder, table, mining, folder, show_progress)
        work = _Work(config, mining, table, claimed, scores, report, show_progress)
        seconds, data_sets = work.mine_all()
    if hash_data(config) != hashes:
        raise DataError("the data were changed while they were mined; mine again with --overwrite")
    keys = {"data", "languages", "development", "audit", "leave_out_leaks"}
    record = {
        "model": _describe(encoder, model),
        "options": mining.model_dump(mode="json"),
        "config": config.model_dump(mode="json", include=keys),
        "data_sets": data_sets,
        "seconds": {"encoding": scores.seconds, "mining": seconds},
        **provenance(data=hashes),
    }
    claimed.finish(record)
    return claimed


def _refuse_single_meanings(table: ParallelTable) -> None:
    """Refuse a data set in which nothing can be a negative, before texts are encoded.

    Raises:
        DataError: If the groups of a data set do not have two meanings.
    """
    for number, name in enumerate(table.datasets):
        meanings = len(np.unique(table.meaning[table.dataset == number]))
        if meanings < 2:
            raise DataError(
                f"data set {name!r}: the groups that are trained on have {meanings} different "
                "meanings, and a negative needs 2; add groups or take the data set out"
            )


def _load(model: ModelConfig) -> SentenceTransformer:
    """Load an encoder.

    Raises:
        ModelError: If it cannot be loaded, or is made for a similarity that cannot be ranked by.
    """
    from isoglot.models.loading import load_encoder

    encoder = load_encoder(model)
    if (similarity := str(encoder.similarity_fn_name)) not in SIMILARITIES:
        raise ModelError(
            f"model {model.name!r} is made for {similarity} similarity; negatives are mined by "
            f"{' or '.join(SIMILARITIES)}"
        )
    return encoder


def _describe(encoder: SentenceTransformer, model: ModelConfig) -> dict[str, Any]:
    from isoglot.encoding.stream import model_identity

    return {
        **model.model_dump(mode="json", exclude_none=True),
        "identity": model_identity(encoder),
        "similarity": str(encoder.similarity_fn_name),
        "prompts": {role: encoder.prompts.get(role) or "" for role in ("query", "document")},
    }


@dataclass(frozen=True)
class _Work:
    """The data sets, one after the other: mined, then written."""

    config: TrainConfig | AlignConfig
    mining: MiningConfig
    table: ParallelTable
    output: MiningOutput
    scores: _EmbeddedScores
    report: Report
    show_progress: bool

    def mine_all(self) -> tuple[float, dict[str, Any]]:
        """Return the seconds, and the records by data set."""
        started = time.monotonic()
        records = {}
        for number, source in enumerate(self.config.data):
            mined = self._mine(number)
            path = self.output.files[source.label]
            groups = with_negatives(read_source(source), self.table, mined, self.mining)
            written = write_groups(path, groups)
            record = mined_record(self.table, mined, self.mining)
            for line in describe_shortage(source.label, record, self.mining):
                self.report(line)
            records[source.label] = {"file": path.name, "groups": written, **record}
        return round(time.monotonic() - started, 1), records

    def _mine(self, dataset: int) -> Mined:
        table, mining = self.table, self.mining
        members = table.dataset == dataset
        queries = int((table.query[members] != ABSENT).sum())
        langs = int((table.passage[members] != ABSENT).any(axis=0).sum())
        searches = queries * (min(mining.same_language, 1) + min(mining.cross_language, langs - 1))
        what = f"mining {table.datasets[dataset]}"
        with progress_bar(what, searches, "search", show=self.show_progress) as bar:

            def tell(lang: str, searched: int) -> None:
                bar.set_postfix_str(lang, refresh=False)
                bar.update(searched)

            return mine_dataset(table, dataset, mining, self.scores, tell)


def _embed(
    encoder: SentenceTransformer,
    table: ParallelTable,
    mining: MiningConfig,
    folder: Path,
    show_progress: bool,
) -> _EmbeddedScores:
    """Encode every different query and every different passage."""
    started = time.monotonic()
    langs = range(len(table.langs))
    rows = {
        "query": _different(table.query[:, lang] for lang in langs),
        "passage": _different(table.passage[:, lang] for lang in langs),
    }
    vectors: dict[str, npt.NDArray[Any]] = {}
    roles: tuple[Role, ...] = ("query", "passage")
    for role in roles:
        path = folder / role
        _encode(encoder, _Texts(table, rows[role]), role, path, mining.batch_size, show_progress)
        flat = np.memmap(path, dtype=np.float32, mode="r")
        vectors[role] = flat.reshape(len(rows[role]), -1)
    seconds = round(time.monotonic() - started, 1)
    similarity = str(encoder.similarity_fn_name)
    return _EmbeddedScores(table, rows, vectors, similarity, mining.memory_mb, seconds)


def _different(columns: Iterable[IntArray]) -> IntArray:
    """Return the different rows of texts, ascending."""
    rows = np.unique(np.concatenate([np.unique(column) for column in columns]))
    found: IntArray = rows[rows != ABSENT]
    return found


def _encode(
    encoder: SentenceTransformer,
    texts: _Texts,
    role: Role,
    path: Path,
    batch_size: int | None,
    show_progress: bool,
) -> None:
    """Write the embeddings of texts as float32, one after the other."""
    from isoglot.encoding.encode import encode_texts

    what = {"query": "encoding queries", "passage": "encoding passages"}[role]
    with (
        atomic_write(path, "wb") as file,
        progress_bar(what, len(texts), "text", show=show_progress) as bar,
    ):
        for start in range(0, len(texts), _TEXTS_PER_CALL):
            part = texts.read(slice(start, start + _TEXTS_PER_CALL))
            file.write(encode_texts(encoder, part, role, batch_size=batch_size).tobytes())
            bar.update(len(part))


@dataclass(frozen=True)
class _Texts(Sequence[str]):
    """Some rows of a table's texts; as names, for messages, only their first letters."""

    table: ParallelTable
    rows: IntArray

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> _Texts: ...
    def __getitem__(self, index: int | slice) -> str | _Texts:
        if isinstance(index, slice):
            return _Texts(self.table, self.rows[index])
        return self.table.text(int(self.rows[index]))[:_NAME_LETTERS]

    def read(self, part: slice) -> list[str]:
        """Return some of the texts in full."""
        texts: list[str] = self.table.texts.take(pa.array(self.rows[part])).to_pylist()
        return texts


@dataclass(frozen=True)
class _EmbeddedScores:
    """Scores of embeddings on disk; see `isoglot.data.mining.Scores`."""

    table: ParallelTable
    rows: dict[str, IntArray]
    """By role: the rows of texts that were encoded, ascending."""
    vectors: dict[str, npt.NDArray[Any]]
    """By role: (texts, dim)."""
    similarity: str
    memory_mb: int
    seconds: float
    """That encoding took."""

    def tiles(
        self, queries: IntArray, passages: IntArray
    ) -> Iterator[tuple[slice, slice, FloatArray]]:
        """Yield the scores of blocks of passages with some queries each."""
        at = np.searchsorted(self.rows["passage"], passages)
        for first in range(0, len(queries), _BLOCK_QUERIES):
            scorer = self._scorer(queries[first : first + _BLOCK_QUERIES])
            count = len(queries[first : first + _BLOCK_QUERIES])
            for start in range(0, len(at), _BLOCK_PASSAGES):
                rows = at[start : start + _BLOCK_PASSAGES]
                block = scorer.block(rows)
                size = (self.memory_mb << 20) // (_BYTES_PER_SCORE * len(rows))
                size = int(np.clip(size, 1, min(_TILE_QUERIES, count)))
                buffer = np.empty((size, len(rows)), dtype=np.float32)
                for begin in range(0, count, size):
                    scores = buffer[: min(size, count - begin)]
                    block.scores(slice(begin, begin + len(scores)), scores)
                    part = slice(first + begin, first + begin + len(scores))
                    yield part, slice(start, start + len(rows)), scores

    def pairs(self, queries: IntArray, passages: IntArray) -> FloatArray:
        """Return the scores of pairs: (pairs,)."""
        scores = np.empty(len(queries), dtype=np.float32)
        for start in range(0, len(queries), _BLOCK_PASSAGES):
            part = slice(start, start + _BLOCK_PASSAGES)
            left = self._prepare("query", queries[part])
            right = self._prepare("passage", passages[part])
            scores[part] = np.einsum("ij,ij->i", left, right)
        return scores

    def _scorer(self, queries: IntArray) -> VectorScorer:
        return VectorScorer(
            self.vectors["query"][np.searchsorted(self.rows["query"], queries)],
            self.vectors["passage"],
            query_names=_Texts(self.table, queries),
            doc_ids=_Texts(self.table, self.rows["passage"]),
            similarity=self.similarity,
        )

    def _prepare(self, role: str, rows: IntArray) -> FloatArray:
        vectors = self.vectors[role][np.searchsorted(self.rows[role], rows)]
        names = _Texts(self.table, rows)
        return prepare_vectors(vectors, names, what=role, similarity=self.similarity)
