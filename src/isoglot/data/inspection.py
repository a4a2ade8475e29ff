"""Count what a file or folder of any known layout holds.

The readers refuse what is malformed; here is only what a person wants to see of the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from isoglot.data.bitext import read_bitext
from isoglot.data.collection import BLANK_PASSAGES, Collection
from isoglot.data.files import language_of_name
from isoglot.data.groups import read_groups
from isoglot.data.layouts import LoadOptions, detect_layout, load_layout
from isoglot.data.squad import read_squad
from isoglot.data.trec import read_qrels, read_run, read_topics
from isoglot.errors import DataError
from isoglot.records import Group

__all__ = ["Inspection", "count_collection", "inspect"]

_UNSTATED = "mul"
"""ISO 639 for texts in several languages: TREC files do not name theirs."""


@dataclass
class Inspection:
    """Counts by language, and texts that come more than once in a language."""

    layout: str
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    """By language, then by what is counted, such as ``queries``."""
    repeated: Counter[str] = field(default_factory=Counter)
    """Texts equal to an earlier one of the same language, by what they are."""
    blank: int = 0
    """Passages without text; only LAReQA's layout may have them."""
    skipped: int = 0
    """SQuAD questions without an answer."""
    _seen: set[tuple[str, str, int]] = field(default_factory=set, repr=False)

    def add(self, lang: str, what: str, text: str) -> None:
        """Count one text."""
        self.add_number(lang, what, 1)
        key = (lang, what, hash(text))
        if key in self._seen:
            self.repeated[what] += 1
        self._seen.add(key)

    def add_number(self, lang: str, what: str, number: int) -> None:
        """Count things that have no text."""
        self.counts.setdefault(lang, Counter())[what] += number


def inspect(path: Path, *, lang: str | None = None) -> Inspection:
    """Read a file or folder completely and count what it holds.

    Args:
        path: In any known layout.
        lang: Language of texts that do not name theirs; default from a name such as
            ``NAME.LANG.json``.

    Raises:
        DataError: If the layout is unknown, or anything in it is malformed.
    """
    layout = detect_layout(path)
    inspection = Inspection(layout)
    match layout:
        case "groups":
            _count_groups(read_groups(path), inspection)
        case "bitext":
            for group in read_bitext(path):
                for code, text in group.query.items():
                    inspection.add(code, "texts", text)
        case "squad":
            file = read_squad(path, lang or _language_in_name(path))
            inspection.skipped = file.unanswerable
            _count_groups(file.groups, inspection)
        case "qrels" | "topics" | "run":
            _count_trec(path, lang or _UNSTATED, inspection)
        case _:
            return count_collection(load_layout(path, LoadOptions(default_lang=lang)), layout)
    return inspection


def count_collection(collection: Collection, layout: str) -> Inspection:
    """Count the queries, passages and judgments of a collection."""
    inspection = Inspection(layout, blank=int(collection.options.get(BLANK_PASSAGES, "0")))
    for query in collection.queries:
        inspection.add(query.lang, "queries", query.text)
    for passage in collection.passages:
        inspection.add(passage.lang, "passages", passage.text)
    for qrel in collection.qrels:
        inspection.add_number(qrel.query_lang, "judgments", 1)
    return inspection


def _count_groups(groups: Iterable[Group], inspection: Inspection) -> None:
    for group in groups:
        for lang, text in group.query.items():
            inspection.add(lang, "queries", text)
        for lang, text in group.passage.items():
            inspection.add(lang, "passages", text)
        for negative in group.negatives:
            for lang, text in negative.items():
                inspection.add(lang, "negatives", text)


def _count_trec(path: Path, lang: str, inspection: Inspection) -> None:
    match inspection.layout:
        case "topics":
            for query in read_topics(path, lang):
                inspection.add(lang, "queries", query.text)
        case "qrels":
            qrels = read_qrels(path, lang)
            inspection.add_number(lang, "queries", len({qrel.query_id for qrel in qrels}))
            inspection.add_number(lang, "judgments", len(qrels))
            inspection.add_number(lang, "relevant", sum(qrel.relevance > 0 for qrel in qrels))
        case _:
            results = read_run(path)
            inspection.add_number(lang, "queries", len({result.query_id for result in results}))
            inspection.add_number(lang, "results", len(results))


def _language_in_name(path: Path) -> str:
    """Return the language of ``LANG.json`` or ``NAME.LANG.json``."""
    stem = path.name.removesuffix(".gz").removesuffix(".json")
    lang = language_of_name(stem.rpartition(".")[2])
    if lang is None:
        raise DataError(
            f"{path}: the language is not known; name it with --lang, or name the file "
            "NAME.LANG.json"
        )
    return lang
