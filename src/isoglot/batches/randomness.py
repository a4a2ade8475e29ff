"""Random numbers by position: the same (purpose, seed, index) always gives the same stream.

Seeds are mixed by ``SeedSequence``, so the streams of different seeds, purposes and indices do not
overlap; seed + epoch arithmetic, which makes seed 1 of epoch 2 equal seed 2 of epoch 1, is absent.
"""

from __future__ import annotations

import zlib

import numpy as np

__all__ = ["RandomStreams"]


class RandomStreams:
    """One independent generator per index.

    Args:
        purpose: What the numbers are for; different purposes never share numbers.
        seed: Any integer >= 0.
    """

    def __init__(self, purpose: str, seed: int) -> None:
        entropy = [zlib.crc32(purpose.encode()), seed]
        self._key = np.random.SeedSequence(entropy).generate_state(2, np.uint64)

    def at(self, index: int) -> np.random.Generator:
        """Return a fresh generator for an index."""
        # The index is the counter's highest word: 2**192 numbers lie between two indices.
        return np.random.Generator(np.random.Philox(key=self._key, counter=[0, 0, 0, index]))
