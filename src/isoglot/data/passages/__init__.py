"""Any corpus as passages: files, folders or data sets, with their languages. No torch."""

from isoglot.data.passages.options import PassageOptions
from isoglot.data.passages.report import LanguageReport
from isoglot.data.passages.storing import corpus_key, read_passages, store_corpus

__all__ = ["LanguageReport", "PassageOptions", "corpus_key", "read_passages", "store_corpus"]
