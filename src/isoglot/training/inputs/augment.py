"""Leaving out tokens and cropping texts, anew at every visit, for encoders trained from nothing.

In a monolingual batch of translations, query and passage are the same sentence. Two random crops
of it (contrastive cropping as in Contriever, arXiv 2112.09118) make a task of it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from isoglot.batches.plan import Batch
from isoglot.batches.randomness import RandomStreams
from isoglot.data.tokens import TokenStore
from isoglot.training.inputs.ragged import Ragged, gather
from isoglot.training.inputs.slices import columns_of

__all__ = ["Augmentation"]

IntArray = npt.NDArray[np.int64]


class Augmentation:
    """Shortens the texts of a batch, as a function of its index alone.

    Args:
        token_dropout: Share of tokens left out.
        crop: Shortest crop of a text that is its own passage, as a share of its tokens.
        max_tokens: Of a longer text, a window of so many tokens is used.
        seed: Seed of all three.
    """

    def __init__(
        self, *, token_dropout: float, crop: float, max_tokens: int | None = None, seed: int
    ) -> None:
        self._keep = 1.0 - token_dropout
        self._crop = crop
        self._longest = max_tokens or np.iinfo(np.int64).max
        self._random = RandomStreams("tokens", seed)

    def __call__(self, batch: Batch, queries: TokenStore, passages: TokenStore) -> list[Ragged]:
        """Return what is left of the batch's texts, column by column."""
        rng = self._random.at(batch.index)
        crop = np.where(batch.query_texts == batch.passage_texts, self._crop, 1.0)
        stores = (queries, passages, passages, queries, passages)
        columns = zip(stores, columns_of(batch), strict=True)
        return [
            self._shorten(rng, store, texts, crop if number < 2 else np.ones(len(texts)))
            for number, (store, texts) in enumerate(columns)
        ]

    def _shorten(
        self,
        rng: np.random.Generator,
        store: TokenStore,
        texts: IntArray,
        crop: npt.NDArray[np.float64],
    ) -> Ragged:
        starts = store.starts[texts]
        lengths = store.ends[texts] - starts
        cropped = np.ceil(lengths * (crop + (1 - crop) * rng.random(len(texts)))).astype(np.int64)
        cropped = np.minimum(cropped, self._longest)
        starts = starts + ((lengths - cropped + 1) * rng.random(len(texts))).astype(np.int64)
        whole = gather(store.tokens, starts, cropped)
        row = np.repeat(np.arange(len(texts)), cropped)
        kept = rng.random(len(row)) < self._keep
        # A text of which nothing would be left keeps its first token.
        empty = np.bincount(row[kept], minlength=len(texts)) == 0
        kept[whole.starts[empty & (cropped > 0)]] = True
        return Ragged(whole.ids[kept], np.bincount(row[kept], minlength=len(texts)))
