"""What was found out about the languages of a corpus while it was read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

from isoglot.data.passages.detection import Detection
from isoglot.languages import UNDETERMINED
from isoglot.records import Passage

__all__ = ["Doubt", "KnownBy", "LanguageReport"]

KnownBy = Literal["column", "option", "name", "detected"]
_EXAMPLES = 3


class Doubt(NamedTuple):
    """A passage that looks like another language than the stated one."""

    doc_id: str
    detected: str
    confidence: float


@dataclass
class LanguageReport:
    """Passages by language, how it is known, and which passages look like another.

    Stated languages are those of a column, an option or a file name; only they are checked.
    """

    known_by: dict[str, dict[str, int]] = field(default_factory=dict)
    """Passages by language and by how it is known: ``column``, ``option``, ``name``,
    ``detected``."""
    checked: dict[str, int] = field(default_factory=dict)
    """Passages by stated language whose text was looked at."""
    doubts: dict[str, dict[str, int]] = field(default_factory=dict)
    """Of these, by stated language, how many clearly look like which other language."""
    examples: dict[str, list[Doubt]] = field(default_factory=dict)
    """Some of them, by stated language."""
    not_checkable: tuple[str, ...] = ()
    """Stated languages that the detector does not know."""
    replaced: int = 0
    """Passages whose stated language gave way to the detected one."""
    empty: int = 0
    """Rows without a text, which were passed over."""
    empty_examples: list[str] = field(default_factory=list)
    """Where some of them are."""

    @property
    def passages(self) -> dict[str, int]:
        """Passages by language, sorted."""
        return {lang: sum(counts.values()) for lang, counts in sorted(self.known_by.items())}

    @property
    def detected(self) -> int:
        """Passages whose language was not stated and could be told."""
        return sum(self._detected.values())

    @property
    def undetermined(self) -> int:
        """Passages whose language was not stated and could not be told."""
        return self.passages.get(UNDETERMINED, 0)

    def add_passage(self, lang: str, known_by: KnownBy) -> None:
        """Count a passage."""
        counts = self.known_by.setdefault(lang, {})
        counts[known_by] = counts.get(known_by, 0) + 1

    def add_empty(self, where: str) -> None:
        """Count a row without a text."""
        self.empty += 1
        if len(self.empty_examples) < _EXAMPLES:
            self.empty_examples.append(where)

    def add_check(self, passage: Passage, detection: Detection | None) -> None:
        """Count a check of a passage under its stated language.

        Args:
            passage: The passage as it was stated.
            detection: What it clearly looks like instead; None if nothing speaks against it.
        """
        lang = passage.lang
        self.checked[lang] = self.checked.get(lang, 0) + 1
        if detection is None:
            return
        counts = self.doubts.setdefault(lang, {})
        counts[detection.lang] = counts.get(detection.lang, 0) + 1
        examples = self.examples.setdefault(lang, [])
        if len(examples) < _EXAMPLES:
            confidence = round(detection.confidence, 3)
            examples.append(Doubt(passage.doc_id, detection.lang, confidence))

    def lines(self) -> list[str]:
        """Return what a user should know, a line each: counts first, then what may be wrong."""
        counts = self.passages
        lines = [f"{sum(counts.values()):,} passages in {len(counts)} languages: {_join(counts)}"]
        if self.detected:
            found = _join(self._detected)
            lines.append(f"language not stated and detected: {self.detected:,} ({found})")
        if self.undetermined:
            lines.append(
                f"language not stated and not to be told: {self.undetermined:,}, "
                f"kept under {UNDETERMINED!r}"
            )
        lines += self._doubt_lines()
        if self.empty:
            places = ", ".join(self.empty_examples)
            lines.append(f"rows without a text, passed over: {self.empty:,} ({places})")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {"passages": self.passages, **asdict(self), "examples": _as_rows(self.examples)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LanguageReport:
        """Return the report of ``to_dict``.

        Raises:
            KeyError: If a field is missing.
            TypeError: If it is no such report.
        """
        fields = {key: value for key, value in values.items() if key != "passages"}
        examples = fields.pop("examples").items()
        fields["examples"] = {lang: [Doubt(**row) for row in rows] for lang, rows in examples}
        fields["not_checkable"] = tuple(fields["not_checkable"])
        return cls(**fields)

    @property
    def _detected(self) -> dict[str, int]:
        return {
            lang: by["detected"]
            for lang, by in sorted(self.known_by.items())
            if "detected" in by and lang != UNDETERMINED
        }

    def _doubt_lines(self) -> Iterable[str]:
        if self.checked:
            yield f"stated languages checked: {sum(self.checked.values()):,} passages"
        for lang, counts in sorted(self.doubts.items()):
            total, checked = sum(counts.values()), self.checked[lang]
            examples = ", ".join(f"{x.doc_id} {x.detected}" for x in self.examples[lang])
            yield (
                f"stated {lang}: {total:,} of {checked:,} checked ({total / checked:.1%}) look "
                f"like another language: {_join(counts)}; for example {examples}"
            )
        if self.replaced:
            yield f"stated languages replaced by the detected ones: {self.replaced:,} passages"
        if self.not_checkable:
            yield f"stated languages that cannot be checked: {' '.join(self.not_checkable)}"


def _as_rows(examples: Mapping[str, Iterable[Doubt]]) -> dict[str, list[dict[str, Any]]]:
    return {lang: [doubt._asdict() for doubt in doubts] for lang, doubts in examples.items()}


def _join(counts: Mapping[str, int]) -> str:
    ordered = Counter(counts).most_common()
    return ", ".join(f"{lang} {count:,}" for lang, count in ordered)
