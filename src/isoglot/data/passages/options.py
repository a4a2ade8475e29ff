"""How a corpus is read: its columns, its languages, and which part of a data set."""

from __future__ import annotations

from dataclasses import dataclass

from isoglot.data.miracl import check_passage_text
from isoglot.errors import ConfigError
from isoglot.languages import normalize_language, normalize_languages

__all__ = ["ID_COLUMNS", "LANG_COLUMNS", "TEXT_COLUMNS", "TITLE_COLUMNS", "PassageOptions"]

ID_COLUMNS = ("doc_id", "docid", "_id", "id")
TEXT_COLUMNS = ("text", "contents")
"""``contents`` is what Anserini and Pyserini call it."""
TITLE_COLUMNS = ("title",)
LANG_COLUMNS = ("lang", "language")


@dataclass(frozen=True)
class PassageOptions:
    """How a corpus is read; for columns that are not named, the usual names are tried.

    Raises:
        ConfigError: If a language or ``passage_text`` is unknown, ``check_share`` is no share, or
            languages are to be replaced that are not checked.
    """

    id_column: str | None = None
    """Default: ``doc_id``, ``docid``, ``_id`` or ``id``; without one, file name and row number."""
    text_column: str | None = None
    """Default: ``text`` or ``contents``."""
    title_column: str | None = None
    """Default: ``title``, where there is one."""
    lang_column: str | None = None
    """Default: ``lang`` or ``language``, where there is one."""
    passage_text: str = "title text"
    """``title text``: title, one space and text; ``text``: the text alone."""
    lang: str | None = None
    """Language of the passages that do not state theirs."""
    detect: bool = True
    """Detect the language where it is neither stated nor given; else it is an error."""
    detect_among: tuple[str, ...] = ()
    """Languages that may be detected; default: all that the detector knows."""
    check: bool = False
    """Compare stated languages with what the detector sees, and report."""
    check_share: float = 0.01
    """Share of the passages that is checked after the first 1,000 of each language; 1 is all."""
    replace_stated: bool = False
    """Put the detected language in the place of a stated one that differs, where it is sure."""
    prefix_ids: bool | None = None
    """Call passages ``LANG:id``. Default: where files or folders are named by language, because
    ids repeat over such files."""
    split: str = "train"
    """Of a Hugging Face data set."""
    revision: str | None = None
    """Commit or tag of a Hugging Face data set on the hub."""

    def __post_init__(self) -> None:
        check_passage_text(self.passage_text)
        if self.lang is not None:
            object.__setattr__(self, "lang", normalize_language(self.lang))
        object.__setattr__(self, "detect_among", normalize_languages(self.detect_among))
        if not 0 <= self.check_share <= 1:
            raise ConfigError(f"check_share must be from 0 to 1, got {self.check_share}")
        if self.replace_stated and not (self.check and self.check_share == 1):
            raise ConfigError(
                "replace_stated needs every stated language checked; set check and check_share 1"
            )
