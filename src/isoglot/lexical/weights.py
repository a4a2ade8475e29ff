"""What a term adds to the BM25 score of a passage, for the passages of one language.

Where scores are defined: see ``bm25``.
"""

from __future__ import annotations

import itertools
import logging
import math
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csc_array
from tqdm import tqdm

from isoglot.errors import ConfigError
from isoglot.lexical.tokenize import split_words, to_terms

__all__ = ["DEFAULT_B", "DEFAULT_K1", "Vocabulary", "check_parameters", "weigh"]

DEFAULT_K1 = 0.9
DEFAULT_B = 0.4
"""Anserini's defaults, with which MIRACL's published BM25 rows were made."""

_TEXTS_AT_A_TIME = 4096


def check_parameters(k1: float, b: float) -> None:
    """Refuse what gives no sensible score; written so that NaN is refused too.

    Raises:
        ConfigError: If k1 or b is out of range.
    """
    if not (math.isfinite(k1) and k1 >= 0):
        raise ConfigError(f"BM25's k1 is {k1}; use 0 or more, such as {DEFAULT_K1}")
    if not 0 <= b <= 1:
        raise ConfigError(f"BM25's b is {b}; use a number from 0 to 1, such as {DEFAULT_B}")


class Vocabulary:
    """The terms of one index. What a word becomes is worked out once."""

    def __init__(self, lang: str) -> None:
        self.lang = lang
        self.terms: dict[str, int] = {}
        """Numbers of the terms, from 0 in the order of their first passages."""
        self._numbers: dict[str, int] = {}  # word to number of its term

    def add_all(self, texts: Iterable[str], bar: tqdm[Any]) -> list[array[int]]:
        """Return the numbers of the terms of every text, new terms included."""
        numbers: list[array[int]] = []
        texts = iter(texts)
        while now := list(itertools.islice(texts, _TEXTS_AT_A_TIME)):
            numbers += self._add(now)
            bar.update(len(now))
        return numbers

    def _add(self, texts: Sequence[str]) -> list[array[int]]:
        split = [split_words(text) for text in texts]
        new = list(
            dict.fromkeys(word for words in split for word in words if word not in self._numbers)
        )
        for word, term in zip(new, to_terms(new, self.lang), strict=True):
            self._numbers[word] = self.terms.setdefault(term, len(self.terms))
        return [array("i", [self._numbers[word] for word in words]) for words in split]


def weigh(tokens: list[array[int]], terms: dict[str, int], k1: float, b: float) -> csc_array:
    """Return what each term adds to the score of each passage: (passages, terms) float32.

    Args:
        tokens: Numbers of the terms of every passage.
        terms: Numbers of all terms.
        k1: How slowly a repeated term saturates.
        b: How much long passages are discounted.
    """
    if not terms:  # passages without text; their mean length would be divided by
        return csc_array((len(tokens), 0), dtype=np.float32)
    import bm25s

    # bm25s sets its logger to DEBUG, so that any handler of the user's program prints its steps.
    logging.getLogger("bm25s").setLevel(logging.WARNING)
    index = bm25s.BM25(k1=k1, b=b, method="lucene")
    index.index((tokens, terms), create_empty_token=False, show_progress=False)
    weights, passages, starts = (index.scores[name] for name in ("data", "indices", "indptr"))
    if len(weights) < np.iinfo(np.int32).max:  # else scipy would widen the other indices too
        starts = starts.astype(np.int32)
    return csc_array((weights, passages, starts), shape=(len(tokens), len(terms)))
