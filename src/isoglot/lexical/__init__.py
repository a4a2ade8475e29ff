"""BM25: what shared words alone find. No torch."""

from isoglot.lexical.bm25 import Bm25Scorer
from isoglot.lexical.stored import Words, build_words, open_words
from isoglot.lexical.tokenize import STEMMERS, tokenize
from isoglot.lexical.weights import DEFAULT_B, DEFAULT_K1

__all__ = [
    "DEFAULT_B",
    "DEFAULT_K1",
    "STEMMERS",
    "Bm25Scorer",
    "Words",
    "build_words",
    "open_words",
    "tokenize",
]
