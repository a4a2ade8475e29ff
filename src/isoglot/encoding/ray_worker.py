"""What a worker on any node does: makes one shard of vectors after the other.

A worker is told of a shard by language, number and rows. It reads the rows from the corpus, encodes
them, writes the files and answers with their record. All else is checked once, when it begins: that
it sees the driver's corpus and output, and has the driver's encoder. What a user can mend is an
answer, not an exception, for an exception comes back as pages of traceback.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import isoglot
from isoglot import errors
from isoglot.artifacts import file_sha256
from isoglot.config.encoding import EncodingConfig, Precision
from isoglot.config.model import ModelConfig
from isoglot.data.corpus import open_passages, split_by_language
from isoglot.encoding.encoders import open_text_encoder
from isoglot.encoding.shards import Origin, Shard, hash_inputs, write_shard
from isoglot.encoding.stream import ShardEncoder
from isoglot.errors import ArtifactError, ConfigError, IsoglotError, ModelError
from isoglot.progress import progress_bar

__all__ = ["CORPUS_RECORD", "TOKEN", "Answer", "Job", "ShardMaker", "ShardTask"]

CORPUS_RECORD = "passages.json"
"""The file by which a folder of stored passages is known; see ``isoglot.data.corpus``."""
TOKEN = "token"

_MOST_ATTEMPTS = 5
"""After so many workers have died with a shard, the shard is taken to be the cause."""


class ShardTask(NamedTuple):
    """A shard to make."""

    lang: str
    number: int
    """Place among the language's shards."""
    start: int
    """First row among the language's passages."""
    stop: int


@dataclass(frozen=True)
class Job:
    """What all workers of a run are told."""

    model: ModelConfig
    settings: EncodingConfig
    corpus: Path
    """All paths are absolute."""
    corpus_sha256: str
    """Of the corpus's record."""
    output: Path
    scratch: Path
    """In ``output``, for the time of the run."""
    token: str
    """In the file ``token`` of ``scratch``: whoever reads it sees the driver's folder."""
    origin: Origin
    precision: Precision
    """In which the driver's encoder computes: never ``auto``, which may differ by node."""
    version: str = isoglot.__version__


class Answer(NamedTuple):
    """A shard that was made, or why not."""

    lang: str
    number: int
    shard: str
    """`Shard` as JSON; empty if it was not made."""
    node: str
    error: str = ""
    """Name of an error of ``isoglot.errors``."""
    message: str = ""

    def record(self) -> Shard:
        """Return the record of the shard.

        Raises:
            IsoglotError: The worker's, with the name of its node.
        """
        if self.error:
            raise getattr(errors, self.error)(f"node {self.node}: {self.message}")
        return Shard(**json.loads(self.shard))


class ShardMaker:
    """Makes shards; Ray Data keeps one per worker and calls it with a batch of one row."""

    def __init__(self, job: Job, threads: int) -> None:
        self._job = job
        self._threads = threads
        self._maker: _Maker | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Make one shard.

        Args:
            batch: The fields of a `ShardTask`, an array of one value each.

        Returns:
            The fields of an `Answer`, a list of one value each.
        """
        lang, number, start, stop = (batch[field][0] for field in ShardTask._fields)
        task = ShardTask(str(lang), int(number), int(start), int(stop))
        node = socket.gethostname()
        try:
            shard = json.dumps(asdict(self._make(task)))
            answer = Answer(task.lang, task.number, shard, node)
        except IsoglotError as error:
            answer = Answer(task.lang, task.number, "", node, type(error).__name__, str(error))
        return {field: [value] for field, value in answer._asdict().items()}

    def _make(self, task: ShardTask) -> Shard:
        if self._maker is None:
            _refuse_other_version(self._job)
            _refuse_other_folders(self._job)
        with _counted(self._job.scratch / f"{task.lang}-{task.number:05d}", task):
            if self._maker is None:
                self._maker = _Maker(self._job, self._threads)
            return self._maker.make(task)


@contextlib.contextmanager
def _counted(attempts: Path, task: ShardTask) -> Iterator[None]:
    """Count the workers that die at a task, one byte each, for Ray tries again without end.

    Raises:
        ModelError: If there were too many.
    """
    if attempts.is_file() and attempts.stat().st_size >= _MOST_ATTEMPTS:
        raise ModelError(
            f"{_MOST_ATTEMPTS} workers died while they encoded shard {task.number} of "
            f"{task.lang!r}; if they ran out of memory, use more threads per worker, so that there "
            "are fewer of them, or smaller shards or batches; what is there is kept"
        )
    with attempts.open("ab") as file:
        file.write(b".")
    yield
    attempts.unlink(missing_ok=True)


class _Maker:
    """A corpus and an encoder, opened."""

    def __init__(self, job: Job, threads: int) -> None:
        self._job = job
        self._passages = split_by_language(open_passages(job.corpus))
        self._encoder = _open_encoder(job, threads)

    def make(self, task: ShardTask) -> Shard:
        rows = self._passages[task.lang][task.start : task.stop]
        ids, texts = [row.doc_id for row in rows], [row.text for row in rows]
        vectors = self._encoder.encode(texts)
        inputs = hash_inputs(ids, texts)
        output = self._job.output
        return write_shard(output, "passages", task.lang, task.number, ids, vectors, inputs)


def _refuse_other_version(job: Job) -> None:
    if job.version != isoglot.__version__:
        raise ConfigError(
            f"isoglot {isoglot.__version__} is installed here, {job.version} where the command "
            "runs; install the same on every node"
        )


def _refuse_other_folders(job: Job) -> None:
    """Raise unless this node sees what the driver sees."""
    advice = "corpus and output must be on storage that all nodes see under the same path"
    record = job.corpus / CORPUS_RECORD
    if not record.is_file() or file_sha256(record) != job.corpus_sha256:
        raise ArtifactError(f"{job.corpus}: is another corpus here or none; {advice}")
    token = job.scratch / TOKEN
    if not token.is_file() or token.read_text(encoding="utf-8") != job.token:
        raise ArtifactError(f"{job.output}: is another folder here or none; {advice}")


def _open_encoder(job: Job, threads: int) -> ShardEncoder:
    """Open the driver's encoder, or raise if it is another one here."""
    encoder = open_text_encoder(
        job.model,
        backend=job.settings.backend,
        precision=job.precision,
        device=job.settings.device,
        threads=threads,
    )
    if encoder.identity != job.origin.identity:
        raise ModelError(
            f"model {job.model.name!r} has other weights or settings here than where the command "
            "runs; copy the same files to every node"
        )
    bar = progress_bar("", None, "text", show=False)
    return ShardEncoder(encoder, "passages", job.settings.batch_size, job.origin, bar)
