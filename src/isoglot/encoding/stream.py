"""Texts to embedding shards, in memory that does not grow with the corpus.

One shard at a time is read, encoded longest text first, written and forgotten. What a shard is on
disk is in ``shards``; how texts become vectors is in ``encode``.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers import Tokenizer

from isoglot.data.corpus import split_by_language
from isoglot.encoding.encode import encode_texts
from isoglot.encoding.shards import Kind, Origin, ShardWriter, hash_inputs
from isoglot.errors import ConfigError, DataError, ModelError
from isoglot.progress import progress_bar
from isoglot.records import Passage, Query

__all__ = ["DEFAULT_SHARD_SIZE", "DTYPES", "encode_corpus", "encode_queries", "model_identity"]

DEFAULT_SHARD_SIZE = 100_000
"""Rows; at 384 dimensions in float32 a shard has 154 MB."""
DTYPES = ("float32", "float16")

_TEXTS_PER_CALL = 4096
"""Texts handed to the encoder between two steps of the progress bar."""

Text = TypeVar("Text", Passage, Query)
Dtype = Literal["float32", "float16"]


def encode_corpus(
    model: SentenceTransformer,
    passages: Iterable[Passage],
    folder: Path,
    *,
    model_name: str = "",
    shard_size: int = DEFAULT_SHARD_SIZE,
    batch_size: int | None = None,
    dtype: Dtype = "float32",
    verify: bool = False,
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
        batch_size: Texts at a time; default: by the kind of encoder.
        dtype: ``float16`` halves the disk space and moves cosine scores by less than 0.001.
        verify: Compare the SHA-256 of shards that are there, not only their size.
        show_progress: Show rate and time left.

    Raises:
        ConfigError: If ``dtype`` is unknown or ``shard_size`` is not positive.
        DataError: If a language of an iterable comes back after another one.
        ModelError: If a value does not fit ``float16``.
        ArtifactError: If the folder holds embeddings of another model or of other texts, or cannot
            be written.
    """
    origin = _origin(model, model_name, shard_size, dtype)
    writer = ShardWriter(folder, origin, verify=verify)
    total = len(passages) if isinstance(passages, Sequence) else None
    with progress_bar("encoding passages", total, "text", show=show_progress) as bar:
        encoder = _ShardEncoder(model, "passages", batch_size, origin, bar)
        for lang, texts in _languages(passages):
            _encode_language(writer, encoder, lang, texts)


def encode_queries(
    model: SentenceTransformer,
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
    origin = _origin(model, model_name, shard_size, dtype)
    writer = ShardWriter(folder, origin, verify=verify)
    with progress_bar("encoding queries", len(queries), "text", show=show_progress) as bar:
        encoder = _ShardEncoder(model, "queries", batch_size, origin, bar)
        for lang in sorted({query.lang for query in queries}):
            texts = (query for query in queries if query.lang == lang)
            _encode_language(writer, encoder, lang, texts)


def model_identity(model: SentenceTransformer) -> str:
    """Return the SHA-256 over an encoder's weights, tokenizers and main settings.

    Settings are the kinds of modules, pooling, maximum length and the name of the default prompt;
    others, such as the activation function of a dense layer, are not seen. The prompts of queries
    and passages are fields of `Origin`. Of a fast tokenizer, vocabulary and rules count; of a slow
    one, class and vocabulary.
    """
    digest = hashlib.sha256()
    settings = {
        "modules": [type(module).__name__ for module in model],
        "pooling": [module.pooling_mode for module in model if isinstance(module, Pooling)],
        "max_tokens": getattr(model, "max_seq_length", None),
        "default_prompt": model.default_prompt_name,
        "tokenizers": [_describe_tokenizer(module) for module in model],
    }
    digest.update(json.dumps(settings).encode())
    for name, weights in sorted(model.state_dict().items()):
        digest.update(f"{name} {weights.dtype} {tuple(weights.shape)}".encode())
        # As bytes, because numpy has no bfloat16.
        raw = weights.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(raw.numpy())
    return digest.hexdigest()


def _describe_tokenizer(module: Any) -> str | None:  # noqa: ANN401 - any module of an encoder
    """Return what decides how a module cuts texts into tokens; None where it does not."""
    tokenizer = getattr(module, "tokenizer", None)
    if tokenizer is None:
        return None
    if isinstance(tokenizer, Tokenizer):
        return str(tokenizer.to_str())
    if (backend := getattr(tokenizer, "backend_tokenizer", None)) is not None:
        rules = json.loads(backend.to_str())
        # Set anew by every call of the encoder, from the maximum length and these two sides.
        del rules["truncation"], rules["padding"]
        return json.dumps([rules, tokenizer.truncation_side, tokenizer.padding_side])
    vocabulary = tokenizer.get_vocab() if hasattr(tokenizer, "get_vocab") else None
    return json.dumps([type(tokenizer).__name__, vocabulary], sort_keys=True)


def _origin(model: SentenceTransformer, name: str, shard_size: int, dtype: str) -> Origin:
    if dtype not in DTYPES:
        raise ConfigError(f"dtype {dtype!r} is unknown; use {' or '.join(DTYPES)}")
    if shard_size < 1:
        raise ConfigError(f"shard_size is {shard_size}; use 1 or more texts per shard")
    return Origin(
        model=name,
        identity=model_identity(model),
        dim=encode_texts(model, ["a"], "passage").shape[1],
        dtype=dtype,
        similarity=str(model.similarity_fn_name),
        query_prompt=model.prompts.get("query") or "",
        passage_prompt=model.prompts.get("document") or "",
        shard_size=shard_size,
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
    writer: ShardWriter, encoder: _ShardEncoder, lang: str, texts: Iterable[Text]
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


class _ShardEncoder:
    """Encodes the texts of one shard after the other and keeps the progress bar."""

    def __init__(
        self,
        model: SentenceTransformer,
        kind: Kind,
        batch_size: int | None,
        origin: Origin,
        bar: Any,  # noqa: ANN401 - tqdm has no types
    ) -> None:
        self.kind = kind
        self._model = model
        self._role: Literal["query", "passage"] = "query" if kind == "queries" else "passage"
        self._batch_size = batch_size
        self._dim = origin.dim
        self._dtype = np.dtype(origin.dtype)
        self._bar = bar

    def encode(self, texts: Sequence[str]) -> NDArray[Any]:
        """Return (texts, dim) vectors; equal texts are encoded once."""
        first: dict[str, int] = {}
        rows = np.fromiter(
            (first.setdefault(text, row) for row, text in enumerate(texts)), np.int64, len(texts)
        )
        longest_first = sorted(first, key=len, reverse=True)
        vectors = np.empty((len(texts), self._dim), dtype=self._dtype)
        for start in range(0, len(longest_first), _TEXTS_PER_CALL):
            part = longest_first[start : start + _TEXTS_PER_CALL]
            encoded = encode_texts(self._model, part, self._role, batch_size=self._batch_size)
            vectors[[first[text] for text in part]] = self._narrow(encoded)
            self._bar.update(len(part))
        copies = np.flatnonzero(rows != np.arange(len(rows)))
        vectors[copies] = vectors[rows[copies]]
        self._bar.update(len(copies))
        return vectors

    def skip(self, texts: int) -> None:
        """Count texts that were encoded before, without counting them in the rate."""
        if self._bar.disable:  # it then has no counts
            return
        self._bar.initial += texts
        self._bar.n += texts
        self._bar.last_print_n += texts
        self._bar.refresh()

    def report(self, message: str) -> None:
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
