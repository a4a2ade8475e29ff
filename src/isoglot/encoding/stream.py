"""Texts to embedding shards, in memory that does not grow with the corpus.

One shard at a time is read, encoded longest text first, written and forgotten. What a shard is on
disk is in ``shards``; how texts become vectors is in ``encode``.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from isoglot.data.corpus import split_by_language
from isoglot.encoding.encode import encode_once
from isoglot.encoding.encoders import TextEncoder, as_text_encoder
from isoglot.encoding.shards import Kind, Origin, ShardWriter, hash_inputs
from isoglot.errors import ConfigError, DataError, ModelError
from isoglot.models.identity import model_identity
from isoglot.progress import progress_bar
from isoglot.records import Passage, Query

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = [
    "DEFAULT_SHARD_SIZE",
    "DTYPES",
    "ShardEncoder",
    "describe_origin",
    "encode_corpus",
    "encode_queries",
    "model_identity",
]

DEFAULT_SHARD_SIZE = 100_000
"""Rows; at 384 dimensions in float32 a shard has 154 MB."""
DTYPES = ("float32", "float16")

Text = TypeVar("Text", Passage, Query)
Dtype = Literal["float32", "float16"]


def encode_corpus(
    model: SentenceTransformer | TextEncoder,
    passages: Iterable[Passage],
    folder: Path,
    *,
    model_name: str = "",
    shard_size: int = DEFAULT_SHARD_SIZE,
    batch_size: int | None = None,
    dtype: Dtype = "float32",
    verify: bool = False,
    mix_precisions: bool = False,
    show_progress: bool = True,
) -> None:
    """Encode passages into shards; what is there from an earlier run is kept.

    Needs memory for the texts of one shard and for ``shard_size * dim`` numbers, whatever the size
    of the corpus. Equal texts of a shard are encoded once and share one vector.

    Args:
        model: Any encoder.
        passages: A sequence, in memory or stored; or any iterable in which the passages of a
            language follow each other.
        folder: New, or holding shards of the same model; other languages may be there.
        model_name: What the manifest calls the model.
        shard_size: Passages per shard.
        batch_size: Texts of 128 tokens at a time; default: by the kind of encoder.
        dtype: ``float16`` halves the disk space and moves cosine scores by less than 0.001.
        verify: Compare the SHA-256 of shards that are there, not only their size.
        mix_precisions: Add to vectors that the encoder gave in another precision.
        show_progress: Show rate and time left.

    Raises:
        ConfigError: If ``dtype`` is unknown or ``shard_size`` is not positive.
        DataError: If a language of an iterable comes back after another one.
        ModelError: If a value does not fit ``float16``.
        ArtifactError: If the folder holds embeddings of another model or of other texts, or cannot
            be written.
    """
    text_encoder = as_text_encoder(model)
    origin = describe_origin(text_encoder, model_name, shard_size, dtype)
    writer = ShardWriter(folder, origin, verify=verify, mix_precisions=mix_precisions)
    total = len(passages) if isinstance(passages, Sequence) else None
    with progress_bar("encoding passages", total, "text", show=show_progress) as bar:
        encoder = ShardEncoder(text_encoder, "passages", batch_size, origin, bar)
        for lang, texts in _languages(passages):
            _encode_language(writer, encoder, lang, texts)


def encode_queries(
    model: SentenceTransformer | TextEncoder,
    queries: Sequence[Query],
    folder: Path,
    *,
    model_name: str = "",
    shard_size: int = DEFAULT_SHARD_SIZE,
    batch_size: int | None = None,
    dtype: Dtype = "float32",
    verify: bool = False,
    show_progress: bool = True,
) -> None:
    """Encode queries into shards of the same folder; see `encode_corpus`.

    Queries of a language that are others than those there take their place.
    """
    text_encoder = as_text_encoder(model)
    origin = describe_origin(text_encoder, model_name, shard_size, dtype)
    writer = ShardWriter(folder, origin, verify=verify)
    with progress_bar("encoding queries", len(queries), "text", show=show_progress) as bar:
        encoder = ShardEncoder(text_encoder, "queries", batch_size, origin, bar)
        for lang in sorted({query.lang for query in queries}):
            texts = (query for query in queries if query.lang == lang)
            _encode_language(writer, encoder, lang, texts)


def describe_origin(
    encoder: SentenceTransformer | TextEncoder, name: str, shard_size: int, dtype: str
) -> Origin:
    """Return what the manifest says of vectors that an encoder makes.

    Args:
        encoder: Any encoder.
        name: What the manifest calls it.
        shard_size: Texts per shard.
        dtype: In which vectors are stored.

    Raises:
        ConfigError: If ``dtype`` is unknown or ``shard_size`` is not positive.
    """
    if dtype not in DTYPES:
        raise ConfigError(f"dtype {dtype!r} is unknown; use {' or '.join(DTYPES)}")
    if shard_size < 1:
        raise ConfigError(f"shard_size is {shard_size}; use 1 or more texts per shard")
    encoder = as_text_encoder(encoder)
    return Origin(
        model=name,
        identity=encoder.identity,
        dim=encoder.dim,
        dtype=dtype,
        similarity=encoder.similarity,
        query_prompt=encoder.query_prompt,
        passage_prompt=encoder.passage_prompt,
        shard_size=shard_size,
        precision=encoder.precision,
    )


def _languages(passages: Iterable[Passage]) -> Iterator[tuple[str, Iterable[Passage]]]:
    if isinstance(passages, Sequence):
        yield from split_by_language(passages).items()
        return
    seen = set()
    for lang, texts in itertools.groupby(passages, key=lambda passage: passage.lang):
        if lang in seen:
            raise DataError(
                f"passages in {lang!r} come again after another language; give those of one "
                "language together, or a list"
            )
        seen.add(lang)
        yield lang, texts


def _encode_language(
    writer: ShardWriter, encoder: ShardEncoder, lang: str, texts: Iterable[Text]
) -> None:
    kind, stream, number = encoder.kind, iter(texts), 0
    while rows := list(itertools.islice(stream, writer.shard_size)):
        ids = [row.doc_id if isinstance(row, Passage) else row.query_id for row in rows]
        contents = [row.text for row in rows]
        inputs = hash_inputs(ids, contents)
        state = writer.state(kind, lang, number, inputs)
        if state == "present":
            encoder.skip(len(rows))
        else:
            if state != "absent":
                encoder.report(f"{state}; encoding this shard again")
            writer.write(kind, lang, number, ids, encoder.encode(contents), inputs)
        number += 1
    writer.finish(kind, lang, number)


class ShardEncoder:
    """Encodes the texts of one shard after the other and keeps the progress bar.

    Args:
        encoder: Any encoder.
        kind: What the texts are.
        batch_size: Texts of 128 tokens at a time; default: by the kind of encoder.
        origin: What the manifest says of the vectors.
        bar: A progress bar over all texts.
    """

    def __init__(
        self,
        encoder: SentenceTransformer | TextEncoder,
        kind: Kind,
        batch_size: int | None,
        origin: Origin,
        bar: Any,  # noqa: ANN401 - tqdm has no types
    ) -> None:
        self.kind = kind
        self._encoder = as_text_encoder(encoder)
        self._role: Literal["query", "passage"] = "query" if kind == "queries" else "passage"
        self._batch_size = batch_size
        self._dtype = np.dtype(origin.dtype)
        self._bar = bar

    def encode(self, texts: Sequence[str]) -> NDArray[Any]:
        """Return (texts, dim) vectors; equal texts are encoded once.

        Raises:
            ModelError: If a value does not fit the dtype they are stored in.
        """
        return encode_once(
            self._encoder,
            texts,
            self._role,
            batch_size=self._batch_size,
            done=self._bar.update,
            narrow=self._narrow,
        )

    def skip(self, texts: int) -> None:
        """Count texts that were encoded before, without counting them in the rate."""
        if self._bar.disable:  # it then has no counts
            return
        self._bar.initial += texts
        self._bar.n += texts
        self._bar.last_print_n += texts
        self._bar.refresh()

    def report(self, message: str) -> None:
        """Print a line past the progress bar."""
        self._bar.write(message, file=sys.stderr)

    def _narrow(self, vectors: NDArray[np.float32]) -> NDArray[Any]:
        if self._dtype == np.float32:
            return vectors
        limit = np.finfo(self._dtype).max
        if np.abs(vectors).max() > limit:  # NaN passes and is found by the evaluation
            raise ModelError(
                f"the encoder gives values above {limit:g}, which float16 cannot hold; "
                "use dtype float32"
            )
        return vectors.astype(self._dtype)
