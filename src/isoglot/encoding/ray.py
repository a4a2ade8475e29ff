"""Encode a corpus on many machines with Ray Data: the same shards as on one, bit by bit.

A row of the data set is a shard to make. Workers, one actor each, make shards in whatever order and
answer with their records; the driver enters these in the manifest as they come. A node that dies
costs the shards it was at: Ray has them made elsewhere, and a shard made twice is the same file.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from isoglot.artifacts import file_sha256, write_text
from isoglot.config.encoding import EncodingConfig, Precision
from isoglot.config.model import ModelConfig
from isoglot.data.corpus import open_passages, split_by_language
from isoglot.encoding.encoders import open_text_encoder
from isoglot.encoding.ray_cluster import joined_cluster, stream_answers
from isoglot.encoding.ray_ledger import ShardLedger
from isoglot.encoding.ray_worker import CORPUS_RECORD, TOKEN, Job, ShardTask
from isoglot.encoding.shards import Origin, hash_inputs
from isoglot.encoding.stream import describe_origin
from isoglot.models.loading import embedded_encoder
from isoglot.progress import progress_bar
from isoglot.records import Passage

__all__ = ["encode_corpus_ray"]

_SCRATCH = ".ray"


def encode_corpus_ray(
    model: ModelConfig,
    corpus: Path,
    output: Path,
    settings: EncodingConfig,
    *,
    origin: Origin | None = None,
    address: str | None = None,
    show_progress: bool = True,
) -> None:
    """Encode a stored corpus into shards on a Ray cluster; what is there already is kept.

    The result is that of ``isoglot.encoding.stream.encode_corpus``.

    Args:
        model: The encoder, which every node must be able to load: a hub model, or a folder that is
            there under the same path.
        corpus: Folder that ``isoglot.data.corpus.store_passages`` wrote, seen by all nodes.
        output: New, or holding embeddings of the same origin; seen by all nodes.
        settings: How to encode. ``threads``: CPUs of a worker; default: those of the smallest node.
        origin: What the encoder's vectors are; default: it is opened here for a moment, to know.
        address: Of a cluster: ``auto`` or ``HOST:PORT``; default: start one on this machine.
        show_progress: Show rate and time left.

    Raises:
        ConfigError: If Ray is not installed, no cluster is at the address, or it has no room.
        ModelError: If the encoder cannot be loaded, is another one on some node, or workers die
            with a shard again and again.
        ArtifactError: If a folder cannot be read or written, is not seen by some node, or holds
            embeddings of another model or of other texts.
    """
    passages = split_by_language(open_passages(corpus))
    origin = origin or _describe_origin(model, settings)
    ledger = ShardLedger(
        output, origin, verify=settings.verify, mix_precisions=settings.mix_precisions
    )
    tasks = list(_missing_shards(passages, ledger, show_progress))
    sizes = {lang: len(texts) for lang, texts in passages.items()}
    total, missing = sum(sizes.values()), sum(task.stop - task.start for task in tasks)
    with progress_bar(
        "encoding passages", total, "text", done=total - missing, show=show_progress
    ) as bar:
        report = functools.partial(bar.write, file=sys.stderr)
        if tasks:
            with _scratch_folder(output) as (scratch, token), joined_cluster(address):
                job = Job(
                    model=_with_absolute_path(model),
                    settings=settings,
                    corpus=corpus.resolve(),
                    corpus_sha256=file_sha256(corpus / CORPUS_RECORD),
                    output=output.resolve(),
                    scratch=scratch.resolve(),
                    token=token,
                    origin=origin,
                    precision=cast("Precision", origin.precision),
                )
                for answer in stream_answers(job, tasks, report):
                    shard = answer.record()
                    ledger.add(answer.lang, answer.number, shard)
                    bar.update(shard.rows)
    ledger.finish(sizes)


def _describe_origin(model: ModelConfig, settings: EncodingConfig) -> Origin:
    encoder = open_text_encoder(
        model,
        backend=settings.backend,
        precision=settings.precision,
        device=settings.device,
        threads=settings.threads,
    )
    return describe_origin(encoder, model.name, settings.shard_size, settings.dtype)


@contextlib.contextmanager
def _scratch_folder(output: Path) -> Iterator[tuple[Path, str]]:
    """Keep a folder in the output for the time of a run, with a token by which it is known."""
    scratch, token = output / _SCRATCH, uuid.uuid4().hex
    shutil.rmtree(scratch, ignore_errors=True)  # of a driver that was killed
    write_text(scratch / TOKEN, token)
    try:
        yield scratch, token
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _missing_shards(
    passages: Mapping[str, Sequence[Passage]], ledger: ShardLedger, show_progress: bool
) -> Iterator[ShardTask]:
    """Yield the shards that are not there or damaged; the texts of the others are compared."""
    total, size = sum(map(len, passages.values())), ledger.shard_size
    show = show_progress and ledger.begun
    with progress_bar("comparing with what is there", total, "text", show=show) as bar:
        for lang, texts in passages.items():
            for number, start in enumerate(range(0, len(texts), size)):
                stop = min(start + size, len(texts))
                state = ledger.state(
                    lang, number, functools.partial(_hash_rows, texts, start, stop)
                )
                if state not in ("present", "absent"):
                    bar.write(f"{state}; encoding this shard again", file=sys.stderr)
                if state != "present":
                    yield ShardTask(lang, number, start, stop)
                bar.update(stop - start)


def _hash_rows(texts: Sequence[Passage], start: int, stop: int) -> str:
    rows = texts[start:stop]
    return hash_inputs([row.doc_id for row in rows], [row.text for row in rows])


def _with_absolute_path(model: ModelConfig) -> ModelConfig:
    """Name a folder as other processes find it, which begin elsewhere."""
    folder = Path(model.name).expanduser()
    if model.name == embedded_encoder().name or not folder.is_dir():
        return model
    return model.model_copy(update={"name": str(folder.resolve())})
