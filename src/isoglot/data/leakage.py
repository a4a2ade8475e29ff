"""Leakage: which texts of a benchmark stand in the training data, in the same language or another.

Four kinds of evidence, from strong to weak; a benchmark text has the strongest that is found:

- ``exact``: a training text has the same letters;
- ``near``: a training text is nearly the same, holds the benchmark text, or stands in it;
- ``id``: a training group has the same long hexadecimal id, as XQuAD's questions have SQuAD's;
- ``parallel``: the benchmark has the same text in another language, and that one leaks.

Queries of one id are parallel if they share a relevant passage; the passages relevant for them are
where each is the only one of its language. How texts are matched is in ``shingles``.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from isoglot.data.collection import Collection
from isoglot.data.shingles import Match, TextIndex, to_letters
from isoglot.errors import DataError
from isoglot.records import Group, Passage, Query

__all__ = ["KINDS", "MAX_SHARE", "SIDES", "Leak", "LeakageReport", "TrainingText", "find_leaks"]

KINDS = ("exact", "near", "id", "parallel")
SIDES = ("query", "passage")

MIN_LETTERS = 20
"""Shorter texts are not compared: "Thank you." is no leak."""
SHORT_LETTERS = 30
"""A shorter benchmark or training text needs ``STRICT_SHARE``."""
PART_LETTERS = 40
"""A shorter training text is no leak of a passage that it is a part of."""
NEAR_SHARE = 0.8
"""Least share of a benchmark text's letters that a training text must have for a near match."""
STRICT_SHARE = 0.95
"""The same for short texts, and the share of a training text's letters that make it a part."""
MAX_SHARE = 0.001
"""Default of the share of a benchmark's queries or passages that may leak."""

_BATCH_CHARACTERS = 1 << 18
_HEXADECIMAL = re.compile(r"(?<![0-9a-z])[0-9a-f][0-9a-f-]{14,}[0-9a-f](?![0-9a-z])", re.IGNORECASE)


class TrainingText(NamedTuple):
    """A training text and where it stands."""

    source: str
    group_id: str
    role: str
    """``query``, ``passage`` or ``negatives``."""
    lang: str
    text: str
    langs: tuple[str, ...]
    """All languages of the group: its texts in the others leak the same meaning."""


class Leak(NamedTuple):
    """A benchmark text that leaks, and the training text that shows it."""

    side: str
    """``query`` or ``passage``."""
    kind: str
    text_id: str
    lang: str
    text: str
    training: TrainingText
    share: float
    """Share of the shorter text's letters in the other, 0.0 where texts were not compared."""
    via: str | None = None
    """For a parallel leak, the language in which the benchmark text was found."""


@dataclass(frozen=True)
class LeakageReport:
    """What was found of one benchmark."""

    benchmark: str
    texts: Mapping[tuple[str, str], int]
    """Benchmark texts by side and language."""
    ignored: Mapping[tuple[str, str], int]
    """Those of them that are too short to be compared."""
    leaks: Sequence[Leak]
    groups: Mapping[str, Sequence[str]]
    """Ids of the training groups with a leaking text, by source."""

    def count(self, side: str, lang: str | None = None, kind: str | None = None) -> int:
        """Return how many texts of a side leak; default in all languages and by all kinds."""
        return sum(
            leak.side == side and lang in (None, leak.lang) and kind in (None, leak.kind)
            for leak in self.leaks
        )

    def total(self, side: str) -> int:
        """Return how many texts a side has."""
        return sum(count for (own, _), count in self.texts.items() if own == side)

    def share(self, side: str) -> float:
        """Return the share of a side's texts that leak."""
        return self.count(side) / self.total(side)

    def exceeds(self, max_share: float) -> bool:
        """Say whether a larger share of the queries or of the passages leaks."""
        return any(self.share(side) > max_share for side in SIDES)


def find_leaks(
    sources: Iterable[tuple[str, Iterable[Group]]], collections: Sequence[Collection]
) -> list[LeakageReport]:
    """Look for the texts of benchmarks in training data, read once and group by group.

    Args:
        sources: Named data sets.
        collections: The benchmarks.

    Returns:
        A report per benchmark.

    Raises:
        DataError: If a data set is malformed or there are no groups.
    """
    finders = [_Finder(collection) for collection in collections]
    empty = True
    for batch in _batches(sources):
        empty = False
        letters = to_letters([text.text for text in batch])
        for finder in finders:
            for match in finder.index.matches(letters):
                finder.add_match(batch[match.text], match)
            finder.add_ids(batch)
    if empty:
        raise DataError("no training texts to look for leaks in; name a data set with groups")
    return [finder.report() for finder in finders]


class _Finder:
    """Collects the strongest evidence for each text of one benchmark."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection
        self.texts: list[Query | Passage] = [*collection.queries, *collection.passages]
        self.index = TextIndex([text.text for text in self.texts], MIN_LETTERS)
        self.by_id: dict[str, list[int]] = defaultdict(list)
        for row, text in enumerate(self.texts):
            for name in _long_ids(text[0]):
                self.by_id[name].append(row)
        self.leaks: dict[int, Leak] = {}
        self.groups: dict[str, dict[str, None]] = defaultdict(dict)

    def add_match(self, training: TrainingText, match: Match) -> None:
        """Take in a training text and a benchmark text of which one may hold the other."""
        if match.exact:
            self._add("exact", training, match.indexed, 1.0)
        elif _is_near(match):
            self._add("near", training, match.indexed, match.share)

    def add_ids(self, batch: Iterable[TrainingText]) -> None:
        """Take in the training groups that carry an id of the benchmark."""
        before = None
        for training in batch:
            if training.group_id != before:
                before = training.group_id
                for name in _long_ids(training.group_id):
                    for row in self.by_id.get(name, ()):
                        self._add("id", training, row, 0.0)

    def report(self) -> LeakageReport:
        """Return what was found, parallel texts included."""
        self._spread_to_parallel_texts()
        texts: dict[tuple[str, str], int] = defaultdict(int)
        ignored: dict[tuple[str, str], int] = defaultdict(int)
        for row, text in enumerate(self.texts):
            texts[self._side(row), text.lang] += 1
            ignored[self._side(row), text.lang] += int(self.index.ignored[row])
        return LeakageReport(
            benchmark=self.collection.name,
            texts=dict(texts),
            ignored=dict(ignored),
            leaks=[self.leaks[row] for row in sorted(self.leaks)],
            groups={source: list(groups) for source, groups in self.groups.items()},
        )

    def _add(self, kind: str, training: TrainingText, row: int, share: float) -> None:
        self.groups[training.source][training.group_id] = None
        known = self.leaks.get(row)
        if known is None or (-KINDS.index(kind), share) > (-KINDS.index(known.kind), known.share):
            text = self.texts[row]
            self.leaks[row] = Leak(
                self._side(row), kind, text[0], text.lang, text.text, training, share
            )

    def _side(self, row: int) -> str:
        return SIDES[row >= len(self.collection.queries)]

    def _spread_to_parallel_texts(self) -> None:
        """Add the texts whose parallel text in another language leaks."""
        for rows in _parallel_rows(self.collection):
            found = [self.leaks[row] for row in rows if row in self.leaks]
            found = [leak for leak in found if leak.kind != "parallel"]
            if not found:
                continue
            origin = min(found, key=lambda leak: KINDS.index(leak.kind))
            for row in rows:
                if row not in self.leaks:
                    text = self.texts[row]
                    self.leaks[row] = origin._replace(
                        kind="parallel",
                        text_id=text[0],
                        lang=text.lang,
                        text=text.text,
                        via=origin.lang,
                    )


def _is_near(match: Match) -> bool:
    """Say whether a match is more than a coincidence."""
    shorter = min(match.letters, match.indexed_letters)
    benchmark_share = match.share * shorter / match.indexed_letters
    if benchmark_share >= (NEAR_SHARE if shorter >= SHORT_LETTERS else STRICT_SHARE):
        return True
    return match.share >= STRICT_SHARE and match.letters >= PART_LETTERS


def _parallel_rows(collection: Collection) -> Iterator[list[int]]:
    """Yield rows, queries before passages, that say the same in several languages."""
    answers: dict[tuple[str, str], set[str]] = defaultdict(set)
    for qrel in collection.qrels:
        if qrel.relevance > 0:
            answers[qrel.query_lang, qrel.query_id].add(qrel.doc_id)
    place = {passage.doc_id: row for row, passage in enumerate(collection.passages)}
    by_id: dict[str, list[int]] = defaultdict(list)
    for row, query in enumerate(collection.queries):
        by_id[query.query_id].append(row)
    for query_id, rows in by_id.items():
        sets = {row: answers[collection.queries[row].lang, query_id] for row in rows}
        if len(rows) > 1 and not _long_ids(query_id):
            rows = _answered_alike(sets)
        if len(rows) > 1:
            yield rows
            found = set().union(*(sets[row] for row in rows))
            langs = Counter(collection.passages[place[doc_id]].lang for doc_id in found)
            yield [
                len(collection.queries) + place[doc_id]
                for doc_id in sorted(found)
                if langs[collection.passages[place[doc_id]].lang] == 1
            ]


def _answered_alike(answers: Mapping[int, set[str]]) -> list[int]:
    """Return the queries of one id that share a relevant passage with another of them.

    MIRACL numbers the queries of each language by itself, so an equal id alone says nothing.
    """
    counts = Counter(doc_id for found in answers.values() for doc_id in found)
    return [row for row, found in answers.items() if any(counts[doc_id] > 1 for doc_id in found)]


def _batches(sources: Iterable[tuple[str, Iterable[Group]]]) -> Iterator[list[TrainingText]]:
    """Yield the texts of all groups, enough at a time to be quick and few enough to be small."""
    batch: list[TrainingText] = []
    characters = 0
    for source, groups in sources:
        for group in groups:
            for text in _texts(source, group):
                batch.append(text)
                characters += len(text.text)
            if characters >= _BATCH_CHARACTERS:
                yield batch
                batch, characters = [], 0
    if batch:
        yield batch


def _texts(source: str, group: Group) -> Iterator[TrainingText]:
    """Yield every different text of a group once."""
    langs = tuple(sorted({*group.query, *group.passage}))
    parts = [("query", group.query), ("passage", group.passage)]
    parts += [("negatives", negative) for negative in group.negatives]
    seen: set[str] = set()
    for role, texts in parts:
        for lang, text in texts.items():
            if text not in seen:
                seen.add(text)
                yield TrainingText(source, group.group_id, role, lang, text, langs)


def _long_ids(name: str) -> list[str]:
    """Return the hexadecimal ids within an id; counters and names come up in any data."""
    found = (match.lower().replace("-", "") for match in _HEXADECIMAL.findall(name))
    return [match for match in found if len(match) >= 16 and len(set(match)) >= 6]
