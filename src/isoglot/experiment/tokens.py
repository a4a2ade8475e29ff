"""Tokens that are made once for all models of a grid.

The models of a grid that start from one static encoder cut texts into the same subwords. Looking
vectors up and averaging them is so quick that cutting is most of the time of an evaluation.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

__all__ = ["TokenMemory"]

_MOST_BYTES = 1 << 29
"""Memory for texts and their tokens; what does not fit is cut every time."""
_ENTRY_BYTES = 256
"""Of an array without its tokens, and of an entry in a table that is up to two thirds empty."""

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
            self._keep(known, made)
        tokens = [known[text] if text in known else made[text] for text in texts]
        lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))
        return {
            "input_ids": torch.from_numpy(np.concatenate(tokens).astype(np.int64)),
            "offsets": torch.from_numpy(np.cumsum(lengths) - lengths),
        }

    def _keep(self, known: dict[str, Tokens], made: dict[str, Tokens]) -> None:
        """Keep the tokens of some texts if there is room for all of them.

        They are parts of one array, which stays in memory as long as one of them does.
        """
        size = sum(sys.getsizeof(text) + made[text].nbytes + _ENTRY_BYTES for text in made)
        if self._kept + size <= _MOST_BYTES:
            self._kept += size
            known |= made
