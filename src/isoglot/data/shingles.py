"""Which texts hold which, whatever their script: exact and near matches against an indexed set.

Texts are compared by their letters, marks and digits alone, after NFKC and case folding; white
space and punctuation do not count, so scripts without spaces need nothing of their own. A Chinese,
Japanese or Korean character says about as much as two letters and counts as two.

A near match is found in two steps. Runs of 12 letters that stand in both texts make a pair a
candidate; what decides is the share of the shorter text's letters that also stand in one stretch of
the longer text, in runs of at least 5. This is numpy on hashed runs of letters and not MinHash
(datasketch, rensa): MinHash estimates the similarity of whole texts, which is near zero for a
sentence within a page, the case that matters most here.
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Letters", "Match", "TextIndex", "shared_share", "to_letters"]

Codes = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]
IntArray = npt.NDArray[np.int64]

SEED = 12
"""Letters of a run that makes two texts a candidate."""
RUN = 5
"""Letters of the shortest run that counts in a candidate."""
COMMON = 32
"""A run in more indexed texts than this names no candidate."""
SEED_SHARE = 0.3
"""Share of the shorter text that must stand in runs of ``SEED`` letters."""
LONG = 100
"""Of indexed texts of this many letters, one run in ``SAMPLE`` is kept."""
SAMPLE = 4
STRETCH = 1.25
"""Length of a stretch of the longer text, in lengths of the shorter."""

_MULTIPLIERS = np.random.default_rng(0).integers(1 << 63, size=SEED, dtype=np.uint64) * 2 + 1
_BLOOM_BITS = 26


@dataclass(frozen=True)
class Letters:
    """The letters of several texts, one text after the other."""

    codes: Codes
    """(letters,): code points."""
    start: IntArray
    """(texts + 1,): text ``i`` is ``codes[start[i]:start[i + 1]]``."""

    @property
    def lengths(self) -> IntArray:
        """(texts,): letters of each text."""
        return np.diff(self.start)

    def of(self, text: int) -> Codes:
        """Return the letters of one text."""
        return self.codes[self.start[text] : self.start[text + 1]]


class Match(NamedTuple):
    """A text that an indexed text holds, or that holds an indexed text."""

    text: int
    """Position among the texts looked up."""
    indexed: int
    """Position among the indexed texts."""
    share: float
    """Share of the shorter text's letters found in the other; 1.0 also for nearly equal texts."""
    exact: bool
    """Whether the letters are the same."""
    letters: int
    """Letters of the text looked up."""
    indexed_letters: int


def to_letters(texts: Sequence[str]) -> Letters:
    """Return the letters, marks and digits of the texts, NFKC and case-folded."""
    joined = "\0".join(text.replace("\0", " ") for text in texts)
    folded = unicodedata.normalize("NFKC", joined).casefold()
    codes: Codes = np.frombuffer(folded.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    counts = _letter_counts()[codes]
    before = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    ends = np.append(np.flatnonzero(codes == 0), len(codes))[: len(texts)]
    return Letters(np.repeat(codes, counts), np.concatenate([before[:1], before[ends]]))


@functools.cache
def _letter_counts() -> npt.NDArray[np.uint8]:
    """(code points,): 0 for what is no letter, 2 for a Chinese, Japanese or Korean one, else 1."""
    counts = np.zeros(0x110000, dtype=np.uint8)
    for code in range(0x40000):  # the planes above hold no letters
        character = chr(code)
        if unicodedata.category(character)[0] in "LMN":
            counts[code] = 2 if unicodedata.east_asian_width(character) == "W" else 1
    return counts


class TextIndex:
    """Distinct texts, to be found by their letters.

    Args:
        texts: The texts.
        min_letters: Shorter texts are neither found nor looked up.
    """

    def __init__(self, texts: Sequence[str], min_letters: int) -> None:
        self.min_letters = min_letters
        self.ignored: list[bool] = []
        """Of each text, whether it is too short."""
        self._place: dict[bytes, int] = {}
        """Place of a distinct text among ``_letters`` and ``_owners``, by digest."""
        self._owners: list[list[int]] = []
        """Positions of the texts with the letters of a distinct text."""
        parts = [self._add(to_letters(block)) for block in _blocks(texts)]
        self._letters = Letters(
            np.concatenate([part.codes for part in parts]),
            np.cumsum(np.concatenate([[0], *(part.lengths for part in parts)])),
        )
        self._seeds, self._seed_start, self._seed_at = _seed_table(parts)
        self._bloom = np.zeros(1 << _BLOOM_BITS, dtype=bool)
        self._bloom[_bloom_slot(self._seeds)] = True

    def matches(self, letters: Letters) -> Iterator[Match]:
        """Yield the pairs of a text and an indexed text of which one holds the other.

        Every pair comes once; ``share`` is to be judged by the caller.
        """
        exact: dict[int, int] = {}
        lengths, indexed_lengths = letters.lengths.tolist(), self._letters.lengths
        for text, length in enumerate(lengths):
            if length >= self.min_letters:
                place = self._place.get(_digest(letters.of(text)))
                if place is not None:
                    exact[text] = place
                    for row in self._owners[place]:
                        yield Match(text, row, 1.0, True, length, length)
        for text, place in self._candidates(letters):
            if exact.get(text) != place:
                share = shared_share(letters.of(text), self._letters.of(place))
                indexed_length = int(indexed_lengths[place])
                for row in self._owners[place]:
                    yield Match(text, row, share, False, lengths[text], indexed_length)

    def _add(self, letters: Letters) -> Letters:
        """Take in the next texts; return the letters of those that are new and long enough."""
        new = []
        for text, length in enumerate(letters.lengths.tolist()):
            row = len(self.ignored)
            self.ignored.append(length < self.min_letters)
            if length >= self.min_letters:
                digest = _digest(letters.of(text))
                if digest in self._place:
                    self._owners[self._place[digest]].append(row)
                else:
                    self._place[digest] = len(self._owners)
                    self._owners.append([row])
                    new.append(text)
        parts = [letters.codes[:0], *(letters.of(text) for text in new)]
        start = np.concatenate([[0], np.cumsum(letters.lengths[new])]).astype(np.int64)
        return Letters(np.concatenate(parts), start)

    def _candidates(self, letters: Letters) -> Iterator[tuple[int, int]]:
        """Yield (text, distinct indexed text) where runs of seed length cover enough."""
        text_at, indexed_at = self._shared_seeds(letters)
        text = np.searchsorted(letters.start, text_at, side="right") - 1
        indexed = np.searchsorted(self._letters.start, indexed_at, side="right") - 1
        length, indexed_length = letters.lengths[text], self._letters.lengths[indexed]
        keep = length >= self.min_letters
        at = np.where(length < indexed_length, text_at, indexed_at)[keep]
        pair = (text * max(1, len(self._owners)) + indexed)[keep]
        order = np.lexsort((at, pair))
        at, pair = at[order], pair[order]
        if not len(pair):
            return
        first = np.flatnonzero(np.diff(pair, prepend=-1))
        # A run reaches SEED letters on, or up to the next run of the same pair.
        reach = np.full(len(at), SEED)
        reach[:-1] = np.where(pair[1:] == pair[:-1], np.minimum(np.diff(at), SEED), SEED)
        covered = np.add.reduceat(reach, first)
        shorter = np.minimum(length, indexed_length)[keep][order][first]
        for found in pair[first[covered >= SEED_SHARE * shorter]]:
            yield divmod(int(found), len(self._owners))

    def _shared_seeds(self, letters: Letters) -> tuple[IntArray, IntArray]:
        """Return where seeds stand in the texts, and where the same ones stand in the index."""
        seeds, places = _seeds(letters)
        keep = self._bloom[_bloom_slot(seeds)]
        seeds, places = seeds[keep], places[keep]
        slot = np.searchsorted(self._seeds, seeds)
        slot[slot == len(self._seeds)] = 0
        keep = self._seeds[slot] == seeds if len(self._seeds) else np.zeros(len(slot), dtype=bool)
        slot, places = slot[keep], places[keep]
        start, count = self._seed_start[slot], np.diff(self._seed_start)[slot]
        offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        return np.repeat(places, count), self._seed_at[np.repeat(start, count) + offset]


def shared_share(one: Codes, other: Codes) -> float:
    """Return the share of the shorter text's letters that stand in a stretch of the longer text.

    Letters count in runs of ``RUN``. Their order does not matter, but a run that comes twice in the
    shorter text must come twice in the stretch.
    """
    short, long = (one, other) if len(one) <= len(other) else (other, one)
    if len(short) < RUN:
        return 0.0
    runs, long_runs = _hashes(short, RUN), _hashes(long, RUN)
    width = int(len(short) * STRETCH)
    if len(long_runs) > width:
        hits = np.concatenate([[0], np.cumsum(np.isin(long_runs, runs))])
        best = int(np.argmax(hits[width:] - hits[:-width]))
        long_runs = long_runs[best : best + width]
    at = np.flatnonzero(np.isin(_numbered(runs), _numbered(long_runs)))
    covered = np.zeros(len(short), dtype=bool)
    covered[(at[:, None] + np.arange(RUN)).ravel()] = True
    return float(covered.mean())


def _numbered(hashes: Hashes) -> Hashes:
    """Return hashes that tell the first, second, ... occurrence of a run apart."""
    order = np.argsort(hashes, kind="stable")
    ranked = hashes[order]
    place = np.arange(len(ranked))
    first = np.maximum.accumulate(np.where(np.diff(ranked, prepend=~ranked[:1]) != 0, place, 0))
    numbered = np.empty_like(hashes)
    numbered[order] = ranked + (place - first).astype(np.uint64) * _MULTIPLIERS[-1]
    return numbered


def _hashes(codes: Codes, size: int) -> Hashes:
    """Return the hash of every run of ``size`` letters."""
    count = max(0, len(codes) - size + 1)
    hashes = np.zeros(count, dtype=np.uint64)
    for i in range(size):
        hashes += codes[i : i + count] * _MULTIPLIERS[i]
    return hashes


def _seeds(letters: Letters) -> tuple[Hashes, IntArray]:
    """Return the hashes of all runs of seed length within texts, and where they start."""
    hashes = _hashes(letters.codes, SEED)
    text = np.repeat(np.arange(len(letters.lengths), dtype=np.int32), letters.lengths)
    at = np.flatnonzero(text[: len(hashes)] == text[len(text) - len(hashes) :])
    return hashes[at], at


def _sampled_seeds(letters: Letters) -> tuple[Hashes, IntArray]:
    """Return the seeds of short texts and, of long ones, one seed in ``SAMPLE``.

    A quarter of the runs of 12 letters still covers nearly all of a long text.
    """
    seeds, at = _seeds(letters)
    length = np.repeat(letters.lengths, letters.lengths)[at]
    keep = (length < LONG) | (_mixed(seeds) % SAMPLE == 0)
    return seeds[keep], at[keep]


def _seed_table(parts: Sequence[Letters]) -> tuple[Hashes, IntArray, IntArray]:
    """Return the distinct seeds, sorted, where each one's places start, and the places."""
    sampled, offset = [], 0
    for part in parts:
        seeds, at = _sampled_seeds(part)
        sampled.append((seeds, at + offset))
        offset += len(part.codes)
    seeds = np.concatenate([seeds for seeds, _ in sampled])
    at = np.concatenate([at for _, at in sampled])
    order = np.argsort(seeds, kind="stable")
    distinct, count = np.unique(seeds, return_counts=True)
    rare = count <= COMMON
    at = at[order][np.repeat(rare, count)]
    return distinct[rare], np.concatenate([[0], np.cumsum(count[rare])]).astype(np.int64), at


def _mixed(seeds: Hashes) -> Hashes:
    """Return the upper half of the seeds scrambled: the lower bits of a hash are not random."""
    return (seeds * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)


def _bloom_slot(seeds: Hashes) -> Hashes:
    return _mixed(seeds) >> np.uint64(32 - _BLOOM_BITS)


def _blocks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield the texts, about a million characters at a time; one empty block if there are none."""
    first, characters = 0, 0
    for i, text in enumerate(texts):
        characters += len(text)
        if characters >= 1 << 20:
            yield texts[first : i + 1]
            first, characters = i + 1, 0
    yield texts[first:]


def _digest(codes: Codes) -> bytes:
    return hashlib.blake2b(codes.tobytes(), digest_size=16).digest()
