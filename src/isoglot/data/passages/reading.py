"""Turn the rows of a corpus into passages: id, language, text.

The language of a passage is that of its column; else the one given for all; else the one that its
file is named by; else the one its text looks like. A stated language is never changed unless that
is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from isoglot.data.files import ask_id, ask_language
from isoglot.data.miracl import compose_passage
from isoglot.data.passages.detection import CLEAR, Detection, Detector, fold_variety
from isoglot.data.passages.options import PassageOptions
from isoglot.data.passages.report import KnownBy, LanguageReport
from isoglot.data.passages.rows import Row, columns_by_role, pick_column
from isoglot.errors import DataError
from isoglot.languages import UNDETERMINED
from isoglot.records import Passage

__all__ = ["PassageReader"]

_ALWAYS_CHECKED = 1000
"""Passages of each language that a check looks at before it takes samples."""


class PassageReader:
    """Makes passages of rows and keeps account of their languages."""

    def __init__(self, options: PassageOptions, report: LanguageReport) -> None:
        self._options = options
        self._report = report
        self._columns = columns_by_role(options)
        self._detector = Detector(options.detect_among)
        self._checker = Detector() if options.detect_among else self._detector
        self._stated: dict[str, int] = {}

    def read(self, rows: Iterable[Row]) -> Iterator[Passage]:
        """Yield a passage for each row that has a text.

        Raises:
            ConfigError: If languages must be told and the detector is not installed.
            DataError: If a row has a bad id, text or language, or none and none is to be detected.
        """
        for row in rows:
            passage = self._passage(row)
            if passage is not None:
                yield passage

    def _passage(self, row: Row) -> Passage | None:
        text = self._text(row)
        if text is None:
            self._report.add_empty(row.where)
            return None
        lang, known_by = self._stated_language(row)
        doc_id = self._id(row)
        if lang is None:
            lang, known_by = self._detect(text, row.where), "detected"
            passage = self._name(Passage(doc_id, lang, text), row)
        else:
            stated = self._name(Passage(doc_id, lang, text), row)
            passage = self._check(stated) if self._options.check else stated
        self._report.add_passage(passage.lang, known_by)
        return passage

    def _text(self, row: Row) -> str | None:
        """Return what an encoder reads, or None where there is nothing to read."""
        title, text = (self._value(row.values, role) for role in ("title", "text"))
        if self._options.passage_text == "text":
            title = None
        if _is_blank(title) and _is_blank(text):
            return None
        values = {"title": None if _is_blank(title) else title, "text": text}
        return compose_passage(values, self._options.passage_text, row.where)

    def _id(self, row: Row) -> str:
        column = pick_column(row.values, self._columns["id"])
        return row.default_id if column is None else ask_id(row.values, column, row.where)

    def _name(self, passage: Passage, row: Row) -> Passage:
        """Put the language before the id where ids may repeat, as in MIRACL's collections."""
        wanted = self._options.prefix_ids
        if not (row.prefixed if wanted is None else wanted):
            return passage
        return passage._replace(doc_id=f"{row.lang or passage.lang}:{passage.doc_id}")

    def _stated_language(self, row: Row) -> tuple[str | None, KnownBy]:
        code = self._value(row.values, "lang")
        if code is None and isinstance(metadata := row.values.get("metadata"), dict):
            code = metadata.get("lang")  # BEIR's place for what its layout does not know
        if not _is_blank(code) and code != UNDETERMINED:
            if not isinstance(code, str):
                raise DataError(f"{row.where}: expected a code such as 'sw', got {code!r}")
            return ask_language(code, row.where), "column"
        if self._options.lang is not None:
            return self._options.lang, "option"
        return row.lang, "name"

    def _detect(self, text: str, where: str) -> str:
        if not self._options.detect:
            raise DataError(
                f"{where}: the language is not known; add a column 'lang', name one language for "
                "all passages, or let languages be detected"
            )
        return self._detector.detect(text).lang

    def _check(self, passage: Passage) -> Passage:
        """Count whether the text looks like its stated language; replace it if that is asked."""
        lang = fold_variety(passage.lang)
        if lang not in self._checker.langs:
            self._report.not_checkable = tuple(sorted({*self._report.not_checkable, passage.lang}))
            return passage
        if not self._is_sampled(passage.lang):
            return passage
        detection = self._checker.detect(passage.text)
        differs = _is_clear(detection) and detection.lang != lang
        self._report.add_check(passage, detection if differs else None)
        if not (differs and self._options.replace_stated):
            return passage
        self._report.replaced += 1
        return passage._replace(lang=detection.lang)

    def _is_sampled(self, lang: str) -> bool:
        """Take the first passages of a language, and of the later ones a share, evenly."""
        number = self._stated.get(lang, 0)
        self._stated[lang] = number + 1
        if number < _ALWAYS_CHECKED:
            return True
        share = self._options.check_share
        return int((number + 1) * share) > int(number * share)

    def _value(self, row: Mapping[str, Any], role: str) -> Any:  # noqa: ANN401 - any cell
        column = pick_column(row, self._columns[role])
        return None if column is None else row[column]


def _is_clear(detection: Detection) -> bool:
    return detection.lang != UNDETERMINED and detection.confidence >= CLEAR


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())
