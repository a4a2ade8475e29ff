"""A ``SentenceTransformer`` as a text encoder: its own vectors, in batches of equal length.

The library sorts texts by characters and pads 32 of them to the longest. Here many texts are cut
into tokens at once (``cutting``); then they are put together by tokens. A static encoder needs no
batches: its work is the tokenizer's, which gets many texts at a time and is asked for ids only.
Encoders that read texts in other ways are left to the library.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding, Transformer
from sentence_transformers.util import batch_to_device

from isoglot.encoding.cutting import CutTexts, FastCutter, cut_by_library, work_ahead
from isoglot.models.identity import model_identity
from isoglot.models.prompts import passage_prompt, query_prompt
from isoglot.models.token_batches import TYPICAL_TOKENS, TokenRows, chunk_texts, token_batches

__all__ = ["SentenceEncoder", "compute_in"]

Role = Literal["query", "passage"]

_CPU_CHUNK, _GPU_CHUNK = 512, 2048
"""Texts that are put together by tokens: enough that each batch's lengths are alike."""
_CPU_BATCH, _GPU_BATCH = 32, 256
"""Texts of `TYPICAL_TOKENS` tokens at a time."""
_CHUNKS_PER_CALL = 8
_CHUNKS_AHEAD = 2
_MANY = 512
"""Texts for which it pays to see whether the tokenizer can be used alone, and to copy it."""
_TASKS = {"query": "query", "passage": "document"}


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
        self._cutters: dict[tuple[str, str, int | None], FastCutter | None] = {}

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
        # By characters first, so that the texts of a chunk have about the same length.
        order = np.asarray(sorted(range(len(texts)), key=lambda row: -len(texts[row])))
        ordered = [texts[row] for row in order]
        rows, found = [], []
        for part, tokens in self._cut(ordered, prompt, _TASKS[role]):
            if tokens is None:
                vectors = self._encode_by_library(ordered[part], role, batch_size)
                found.append(torch.from_numpy(vectors).to(self.model.device))
                rows.append(np.arange(part.start, part.stop))
                continue
            for batch in token_batches(tokens.lengths, size, size * TYPICAL_TOKENS):
                features = batch_to_device(tokens.batch(batch), self.model.device)
                features = self.model(features, task=_TASKS[role])
                found.append(self._shorten(features["sentence_embedding"]))
                rows.append(part.start + batch)
        # On a GPU all batches are under way before the first is waited for.
        by_batch = torch.cat(found).float().cpu().numpy()
        in_order = np.empty_like(by_batch)
        in_order[order[np.concatenate(rows)]] = by_batch
        return in_order

    def _cut(
        self, texts: Sequence[str], prompt: str, task: str
    ) -> Iterator[tuple[slice, CutTexts | None]]:
        """Yield the tokens of some texts after the other; for a GPU, some chunks ahead."""
        cutter = self._fast_cutter(prompt, task) if len(texts) >= _MANY else None

        def cut(part: slice) -> tuple[slice, CutTexts | None]:
            if cutter is None:
                return part, cut_by_library(self.model, texts[part], prompt, task)
            return part, cutter.cut(texts[part], prompt)

        if self._on_cpu:  # whose cores are busy with the vectors
            return map(cut, chunk_texts(texts, _CPU_CHUNK))
        return work_ahead(cut, chunk_texts(texts, _GPU_CHUNK), _CHUNKS_AHEAD)

    def _fast_cutter(self, prompt: str, task: str) -> FastCutter | None:
        key = prompt, task, self.model.max_seq_length
        if key not in self._cutters:
            self._cutters[key] = FastCutter.find(self.model, prompt, task)
        return self._cutters[key]

    def _encode_by_library(
        self, texts: Sequence[str], role: Role, batch_size: int | None
    ) -> NDArray[np.float32]:
        encode = self.model.encode_query if role == "query" else self.model.encode_document
        vectors = encode(texts, batch_size=batch_size or _CPU_BATCH, show_progress_bar=False)
        return np.asarray(vectors, dtype=np.float32)

    def _vectors(self, features: dict[str, Any]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = (
            self._shorten(features["sentence_embedding"]).float().cpu().numpy()
        )
        return vectors

    def _shorten(self, vectors: torch.Tensor) -> torch.Tensor:
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
    angles = {name: buffer for name, buffer in first.named_buffers() if name.endswith("inv_freq")}
    first.to(getattr(torch, precision))
    for name, buffer in angles.items():
        # Of rotary positions: in 16 bits, places far into a text would be taken for others.
        module, _, attribute = name.rpartition(".")
        setattr(first.get_submodule(module), attribute, buffer)
    first.register_forward_hook(_to_float32)


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
    tokens = TokenRows(static.tokenizer.encode_batch_fast(prompted, add_special_tokens=False))
    return {
        "input_ids": torch.from_numpy(tokens.ids),
        "offsets": torch.from_numpy(tokens.starts),
    }


def _has_tokens(model: SentenceTransformer) -> bool:
    """Say whether texts become one row of tokens each, whatever comes after."""
    return isinstance(model[0], Transformer)
