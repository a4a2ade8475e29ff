"""The tokens of every text, made once and gathered by row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from isoglot.data.parallel import ParallelTable

__all__ = ["TokenStore"]

_BLOCK = 10_000


class TokenStore:
    """The tokens of every text, made once and kept in one flat array."""

    def __init__(self, tokenizer: Tokenizer, table: ParallelTable) -> None:
        blocks: list[npt.NDArray[np.int32]] = []
        lengths: list[int] = []
        for start in range(0, len(table.texts), _BLOCK):
            texts = table.texts[start : start + _BLOCK].to_pylist()
            encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
            ids = [encoding.ids for encoding in encodings]
            lengths.extend(map(len, ids))
            blocks.append(np.fromiter((i for text in ids for i in text), dtype=np.int32))
        self.tokens: npt.NDArray[np.int32] = np.concatenate(blocks)
        self.ends: npt.NDArray[np.int64] = np.cumsum(lengths)
        self.starts: npt.NDArray[np.int64] = self.ends - np.asarray(lengths)

    def frequencies(self, vocabulary: int) -> npt.NDArray[np.int64]:
        """Count how often each subword occurs: (vocabulary,)."""
        return np.bincount(self.tokens, minlength=vocabulary)
