"""A ``SentenceTransformer`` as a text encoder: its own vectors, in batches of equal length.

The library sorts texts by characters and pads 32 of them to the longest. Here its own preprocessing
cuts many texts into tokens at once; then they are put together by tokens. A static encoder needs no
batches: its work is the tokenizer's, which gets many texts at a time and is asked for ids only.
Encoders that read texts in other ways are left to the library.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding, Transformer
from sentence_transformers.util import batch_to_device

from isoglot.models.identity import model_identity
from isoglot.models.prompts import passage_prompt, query_prompt
from isoglot.models.token_batches import TYPICAL_TOKENS, chunk_texts, token_batches

__all__ = ["SentenceEncoder", "compute_in"]

Role = Literal["query", "passage"]

_CPU_CHUNK, _GPU_CHUNK = 512, 2048
"""Texts that are put together by tokens: enough that each batch's lengths are alike."""
_CPU_BATCH, _GPU_BATCH = 32, 256
"""Texts of `TYPICAL_TOKENS` tokens at a time."""
_CHUNKS_PER_CALL = 4
_TASKS = {"query": "query", "passage": "document"}

_Tokens = tuple[slice, dict[str, Any]]


class SentenceEncoder:
    """An encoder of sentence-transformers; see ``isoglot.encoding.encoders.TextEncoder``.

    Args:
        model: The encoder.
        identity: What it is known by; default: `model_identity`.
        precision: In which it computes; default: that of its weights.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        *,
        identity: str | None = None,
        precision: str | None = None,
    ) -> None:
        self.model = model
        self._identity = identity
        self._precision = precision

    @cached_property
    def dim(self) -> int:
        """Numbers of a vector."""
        return int(self.encode(["a"], "passage").shape[1])

    @cached_property
    def identity(self) -> str:
        """SHA-256 over weights and settings, whatever the precision."""
        return self._identity or model_identity(self.model)

    @property
    def precision(self) -> str:
        """In which it computes."""
        if self._precision is not None:
            return self._precision
        weights = next((w for w in self.model.parameters() if w.is_floating_point()), None)
        return "float32" if weights is None else str(weights.dtype).removeprefix("torch.")

    @property
    def similarity(self) -> str:
        """The one it was made for."""
        return str(self.model.similarity_fn_name)

    @property
    def query_prompt(self) -> str:
        """Put before every query."""
        return query_prompt(self.model)

    @property
    def passage_prompt(self) -> str:
        """Put before every passage."""
        return passage_prompt(self.model)

    @property
    def texts_per_call(self) -> int:
        """Texts to hand over at a time, so that progress is seen and a GPU does not wait."""
        return _CPU_CHUNK if self._on_cpu else _CHUNKS_PER_CALL * _GPU_CHUNK

    @property
    def _on_cpu(self) -> bool:
        return bool(self.model.device.type == "cpu")

    def encode(
        self, texts: Sequence[str], role: Role, *, batch_size: int | None = None
    ) -> NDArray[np.float32]:
        """Encode texts in their order: (texts, dim)."""
        if not texts:
            return np.empty((0, self.dim), dtype=np.float32)
        prompt = self.query_prompt if role == "query" else self.passage_prompt
        self.model.eval()
        with torch.inference_mode():
            if _is_static(self.model):
                return self._encode_static(texts, prompt)
            if _has_tokens(self.model):
                return self._encode_tokens(texts, role, prompt, batch_size)
        return self._encode_by_library(texts, role, batch_size)

    def _encode_static(self, texts: Sequence[str], prompt: str) -> NDArray[np.float32]:
        static, *rest = self.model
        vectors = []
        for part in chunk_texts(texts, _CPU_CHUNK):
            features = _static_features(static, texts[part], prompt)
            features = static(batch_to_device(features, self.model.device))
            for module in rest:
                features = module(features)
            vectors.append(self._vectors(features))
        return np.concatenate(vectors)

    def _encode_tokens(
        self, texts: Sequence[str], role: Role, prompt: str, batch_size: int | None
    ) -> NDArray[np.float32]:
        size = batch_size or (_CPU_BATCH if self._on_cpu else _GPU_BATCH)
        # By characters first, so that a chunk is padded to about its own lengths.
        order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
        ordered = [texts[row] for row in order]
        vectors = np.empty(0, dtype=np.float32)
        for part, features in self._tokenize(ordered, prompt, _TASKS[role]):
            rows = np.asarray(order[part])
            if _can_be_cut(features):
                found = self._encode_features(features, size, _TASKS[role])
            else:
                found = self._encode_by_library(ordered[part], role, batch_size)
            if not vectors.size:
                vectors = np.empty((len(texts), found.shape[1]), dtype=np.float32)
            vectors[rows] = found
        return vectors

    def _tokenize(self, texts: Sequence[str], prompt: str, task: str) -> Iterator[_Tokens]:
        """Yield the features of some texts after the other; beside a GPU, one chunk ahead."""

        def preprocess(part: slice) -> _Tokens:
            return part, self.model.preprocess(texts[part], prompt=prompt or None, task=task)

        if self._on_cpu:  # whose cores are busy with the vectors
            return map(preprocess, chunk_texts(texts, _CPU_CHUNK))
        return _one_ahead(preprocess, chunk_texts(texts, _GPU_CHUNK))

    def _encode_features(
        self, features: dict[str, Any], batch_size: int, task: str
    ) -> NDArray[np.float32]:
        mask = features["attention_mask"]
        batches = list(token_batches(mask.sum(1), batch_size, batch_size * TYPICAL_TOKENS))
        found = []
        for rows in batches:
            batch = batch_to_device(_take(features, rows), self.model.device)
            found.append(self._cut(self.model(batch, task=task)["sentence_embedding"]))
        # On a GPU all batches are under way before the first is waited for.
        vectors = torch.cat(found).float().cpu().numpy()
        in_order = np.empty_like(vectors)
        in_order[np.concatenate(batches)] = vectors
        return in_order

    def _encode_by_library(
        self, texts: Sequence[str], role: Role, batch_size: int | None
    ) -> NDArray[np.float32]:
        encode = self.model.encode_query if role == "query" else self.model.encode_document
        vectors = encode(texts, batch_size=batch_size or _CPU_BATCH, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

    def _vectors(self, features: dict[str, Any]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = (
            self._cut(features["sentence_embedding"]).float().cpu().numpy()
        )
        return vectors

    def _cut(self, vectors: torch.Tensor) -> torch.Tensor:
        return vectors[:, : self.model.truncate_dim] if self.model.truncate_dim else vectors


def compute_in(model: SentenceTransformer, precision: str) -> None:
    """Let an encoder compute in a precision: the transformer's weights, not what comes after it.

    Token vectors become float32 before they are pooled, where 16 bits would lose most.

    Args:
        model: Changed in place; static encoders always compute in float32.
        precision: ``float32``, ``bfloat16`` or ``float16``.
    """
    model.float()
    if precision == "float32" or _is_static(model):
        return
    first = model[0]
    first.to(getattr(torch, precision))
    first.register_forward_hook(_to_float32)


def _one_ahead(work: Callable[[slice], _Tokens], parts: Iterable[slice]) -> Iterator[_Tokens]:
    """Yield the results of some work, the next one made while the last is used."""
    with ThreadPoolExecutor(1) as thread:
        coming = None
        for part in parts:
            ready, coming = coming, thread.submit(work, part)
            if ready is not None:
                yield ready.result()
        if coming is not None:
            yield coming.result()


def _to_float32(module: object, given: object, features: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.float()
        if isinstance(value, torch.Tensor) and value.is_floating_point()
        else value
        for name, value in features.items()
    }


def _is_static(model: SentenceTransformer) -> bool:
    first = model[0]
    # A subclass may make other vectors of the same tokens.
    return type(first) is StaticEmbedding and first.embedding.mode == "mean"


def _static_features(
    static: StaticEmbedding, texts: Sequence[str], prompt: str
) -> dict[str, torch.Tensor]:
    """Return what the encoder's own ``preprocess`` returns: tokens in a row, and where texts start.

    Offsets into the text, which that has computed as well, are left out here.
    """
    if "preprocess" in vars(static):  # in the place of its own, such as one that remembers tokens
        features: dict[str, torch.Tensor] = static.preprocess(texts, prompt=prompt or None)
        return features
    prompted = [prompt + text for text in texts] if prompt else texts
    encodings = static.tokenizer.encode_batch_fast(prompted, add_special_tokens=False)
    tokens = [encoding.ids for encoding in encodings]
    lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
    ids = np.fromiter(itertools.chain.from_iterable(tokens), np.int64, lengths.sum())
    starts = np.cumsum(lengths) - lengths
    return {"input_ids": torch.from_numpy(ids), "offsets": torch.from_numpy(starts)}


def _has_tokens(model: SentenceTransformer) -> bool:
    """Say whether texts become one row of tokens each, whatever comes after."""
    return isinstance(model[0], Transformer)


def _can_be_cut(features: dict[str, Any]) -> bool:
    """Say whether all that belongs to a token is in one column, so that padding can go."""
    mask = features.get("attention_mask")
    if not isinstance(mask, torch.Tensor) or mask.ndim != 2:
        return False
    if "query_expansion_positions" in features:  # padding that counts
        return False
    tensors = [value for value in features.values() if isinstance(value, torch.Tensor)]
    return all(value.ndim == 0 or value.shape == mask.shape for value in tensors)


def _take(features: dict[str, Any], rows: NDArray[Any]) -> dict[str, Any]:
    """Return the features of some texts, without the columns that none of them uses."""
    chosen = torch.from_numpy(rows)
    used = torch.nonzero(features["attention_mask"][chosen].any(0))
    first, last = (int(used[0]), int(used[-1])) if len(used) else (0, 0)
    return {
        name: value[chosen, first : last + 1]
        if isinstance(value, torch.Tensor) and value.ndim == 2
        else value
        for name, value in features.items()
    }
