"""BM25: what shared words alone find. No torch."""

from isoglot.lexical.bm25 import DEFAULT_B, DEFAULT_K1, Bm25Scorer
from isoglot.lexical.tokenize import STEMMERS, tokenize

__all__ = ["DEFAULT_B", "DEFAULT_K1", "STEMMERS", "Bm25Scorer", "tokenize"]
