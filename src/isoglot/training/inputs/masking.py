"""Two texts as one sequence with masked tokens, as for translation language modelling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from isoglot.training.inputs.ragged import Ragged

__all__ = ["Masking", "PairTemplate", "mask_tokens", "wanted_counts"]

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_MASKED, _KEPT = 0.8, 0.1
"""Of the tokens to be found, how many are masked and how many left as they are; the others become
any token (Devlin et al., arXiv 1810.04805)."""


@dataclass(frozen=True)
class PairTemplate:
    """The special tokens around two texts, and which segment each place is in."""

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    segments: tuple[int, ...]
    """Of ``before``, the first text, ``between``, the second text, ``after``: one each."""

    @property
    def specials(self) -> int:
        """Number of special tokens."""
        return len(self.before) + len(self.between) + len(self.after)

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> PairTemplate:
        """Return how a tokenizer puts pairs together."""
        one, two = (tokenizer.encode(text, add_special_tokens=False) for text in ("a b", "c d"))
        pair = tokenizer.post_process(one, two)
        is_text = np.flatnonzero(np.array(pair.special_tokens_mask) == 0)
        # Where no special token stands between them, the texts' lengths tell them apart.
        first = int(is_text[0])
        second = int(is_text[len(one)])
        ends = (0, first, first + len(one), second, second + len(two), len(pair))
        before, between, after = (tuple(pair.ids[ends[i] : ends[i + 1]]) for i in (0, 2, 4))
        segments = tuple(max(pair.type_ids[ends[i] : ends[i + 1]], default=0) for i in range(5))
        return cls(before, between, after, segments)

    def join(self, first: IntArray, second: IntArray) -> tuple[IntArray, IntArray, BoolArray]:
        """Return a pair's tokens, their segments, and which of them are of the texts."""
        pieces = (self.before, first, self.between, second, self.after)
        lengths = [len(piece) for piece in pieces]
        is_text = np.repeat([False, True, False, True, False], lengths)
        ids = np.concatenate([np.asarray(piece, dtype=np.int64) for piece in pieces])
        return ids, np.repeat(np.array(self.segments), lengths), is_text


@dataclass(frozen=True)
class Masking:
    """Which tokens stand for others."""

    share: float
    """Of a pair's ordinary tokens, how many are to be found."""
    mask: int
    """The token that masks."""
    ordinary: IntArray
    """The tokens that are looked for, and that may stand in another's place: all that are not
    special, as the unknown one is."""


def wanted_counts(lengths: IntArray, share: float) -> IntArray:
    """Return how many tokens of each pair are to be found: its share, rounded, but one at least.

    Args:
        lengths: (pairs,) ordinary tokens of each.
        share: How many of them.
    """
    counts: IntArray = np.maximum(1, np.rint(share * lengths)).astype(np.int64)
    return np.minimum(counts, lengths)


def mask_tokens(
    rng: np.random.Generator, pairs: Ragged, masking: Masking
) -> tuple[IntArray, BoolArray]:
    """Choose tokens to be found; mask most of them, change some and leave the others.

    Args:
        rng: Source of all choices.
        pairs: The tokens of both texts of each pair.
        masking: How many, and what they become.

    Returns:
        What is seen of the pairs' tokens, and which of them are to be found: (tokens,) both.
    """
    places = np.flatnonzero(np.isin(pairs.ids, masking.ordinary))
    row = np.repeat(np.arange(len(pairs.lengths)), pairs.lengths)[places]
    counts = np.bincount(row, minlength=len(pairs.lengths))
    order = np.lexsort((rng.random(len(row)), row))  # a shuffle of each pair's tokens
    rank = np.arange(len(row)) - (np.cumsum(counts) - counts)[row]
    chosen = np.zeros(len(pairs.ids), dtype=np.bool_)
    chosen[places[order]] = rank < wanted_counts(counts, masking.share)[row]
    fate, others = rng.random(len(chosen)), rng.choice(masking.ordinary, len(chosen))
    seen = pairs.ids.astype(np.int64)
    seen[chosen & (fate < _MASKED)] = masking.mask
    changed = chosen & (fate >= _MASKED + _KEPT)
    seen[changed] = others[changed]
    return seen, chosen
