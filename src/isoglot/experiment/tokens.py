"""Tokens that are made once for all models of a grid.

The models of a grid that start from one static encoder cut texts into the same subwords. Looking
vectors up and averaging them is so quick that cutting is most of the time of an evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["TokenMemory"]

_MOST_TOKENS = 1 << 26
"""Tokens that are kept, 256 MB; texts after that are cut every time."""

Tokens = npt.NDArray[np.int32]
Features = dict[str, Any]


class TokenMemory:
    """The tokens of texts by tokenizer, filled by the encoders that it is attached to."""

    def __init__(self) -> None:
        self._by_tokenizer: dict[str, dict[str, Tokens]] = {}
        self._kept = 0

    def attach(self, encoder: SentenceTransformer) -> None:
        """Let an encoder look tokens up here first, if it is a static one; else do nothing."""
        from sentence_transformers.sentence_transformer.modules import StaticEmbedding

        static = encoder[0]
        if isinstance(static, StaticEmbedding):
            known = self._by_tokenizer.setdefault(static.tokenizer.to_str(), {})
            static.preprocess = partial(self._preprocess, known, static.preprocess)

    def _preprocess(
        self,
        known: dict[str, Tokens],
        preprocess: Callable[..., Features],
        inputs: list[str],
        prompt: str | None = None,
        **options: Any,  # noqa: ANN401 - as the encoder's own
    ) -> Features:
        """Return what the encoder's own ``preprocess`` returns: tokens in a row, and offsets."""
        import torch

        texts = [prompt + text for text in inputs] if prompt else inputs
        new = [text for text in dict.fromkeys(texts) if text not in known]
        made = {}
        if new:
            features = preprocess(new, **options)
            ends = features["offsets"].numpy()[1:]
            parts = np.split(features["input_ids"].numpy().astype(np.int32), ends)
            made = dict(zip(new, parts, strict=True))
            if self._kept <= _MOST_TOKENS:
                self._kept += len(features["input_ids"])
                known |= made
        tokens = [known[text] if text in known else made[text] for text in texts]
        lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
        return {
            "input_ids": torch.from_numpy(np.concatenate(tokens).astype(np.int64)),
            "offsets": torch.from_numpy(np.cumsum(lengths) - lengths),
        }
