"""Texts by 128-bit hashes, so that equal ones are found without holding any in memory.

Two different texts among n have equal hashes with a probability of about n**2 / 2**129 (BLAKE2b,
RFC 7693): below 1e-20 for a billion texts, and so less likely than a fault of the machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "Hashes",
    "fold",
    "found_in",
    "has_repeats",
    "hash_strings",
    "number_equal",
    "order_hash",
]

Hashes = npt.NDArray[np.uint64]
"""(strings, 2): both halves of each hash."""
IntArray = npt.NDArray[np.int64]

_BLOCK = 1 << 20


def fold(text: str) -> str:
    """Return a text less case and white space, by which texts are compared for meaning."""
    return " ".join(text.casefold().split())


def hash_strings(strings: Iterable[bytes]) -> Hashes:
    """Return the hashes of encoded strings: (strings, 2)."""
    joined = b"".join(hashlib.blake2b(string, digest_size=16).digest() for string in strings)
    return np.frombuffer(joined, dtype="<u8").reshape(-1, 2)


def order_hash(name: str) -> int:
    """Return a number below 2**64 that orders names as if at random, always in the same way."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")


def number_equal(hashes: Hashes) -> IntArray:
    """Return, for every hash, the position of the first one equal to it: (strings,)."""
    order, starts = _runs(hashes)
    lengths = np.diff(starts, append=len(order))
    first = np.empty(len(order), dtype=np.int64)
    first[order] = np.repeat(order[starts], lengths)
    return first


def has_repeats(hashes: Hashes) -> bool:
    """Say whether two of the hashes are equal."""
    return len(_runs(hashes)[1]) < len(hashes)


def _runs(hashes: Hashes) -> tuple[IntArray, npt.NDArray[np.intp]]:
    """Return an order with equal hashes side by side, the earlier first, and where runs start."""
    high, low = hashes[:, 0], hashes[:, 1]
    # Equal first halves with different second ones are rare enough to sort again for them.
    for keys in ((high,), (low, high)):
        order = np.argsort(high, kind="stable") if len(keys) == 1 else np.lexsort(keys)
        new_high = np.diff(high[order]) != 0
        new = new_high | (np.diff(low[order]) != 0)
        if (new == new_high).all():
            break
    return order, np.flatnonzero(np.concatenate([np.ones(min(1, len(order)), dtype=bool), new]))


def found_in(hashes: Hashes, wanted: Hashes) -> npt.NDArray[np.bool_]:
    """Say of each hash whether it is one of the wanted ones: (strings,).

    Args:
        hashes: Any number, looked at block by block.
        wanted: Few enough for memory.
    """
    exact = set(map(tuple, wanted.tolist()))
    halves: npt.NDArray[Any] = np.unique(wanted[:, 0])
    found = np.zeros(len(hashes), dtype=bool)
    if not len(halves):
        return found
    for start in range(0, len(hashes), _BLOCK):
        high = hashes[start : start + _BLOCK, 0]
        place = np.minimum(np.searchsorted(halves, high), len(halves) - 1)
        for row in np.flatnonzero(halves[place] == high) + start:
            found[row] = tuple(hashes[row].tolist()) in exact
    return found
