"""Parallel groups as one table: which text says what, in which language, and which mean the same.

Batches are drawn from this table and never look at a text; the trainer looks texts up by row. The
table also knows which groups must never be each other's negatives. Reading files is elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from isoglot.errors import ConfigError, DataError
from isoglot.records import Group

__all__ = ["ABSENT", "ParallelTable", "build_table"]

ABSENT = -1
"""Marks a language in which a group has no text."""

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ParallelTable:
    """Groups of several data sets, as arrays.

    ``query[g, l]`` and ``passage[g, l]`` are rows of ``texts`` or ``ABSENT``; the listed negatives
    of group ``g`` are the rows ``negative_start[g]:negative_start[g + 1]`` of ``negative``.
    """

    langs: tuple[str, ...]
    datasets: tuple[str, ...]
    group_ids: Sequence[str]
    dataset: IntArray
    """(groups,): position in ``datasets``."""
    query: IntArray
    """(groups, languages)."""
    passage: IntArray
    """(groups, languages)."""
    negative_start: IntArray
    """(groups + 1,)."""
    negative: IntArray
    """(listed negatives, languages)."""
    meaning: IntArray
    """(groups,): equal for groups joined by an equal question or an equal passage, in any language,
    directly or through others. Such groups may answer each other's questions."""
    negative_meaning: IntArray
    """(listed negatives,): the meaning of the groups with that passage, or one of its own."""
    texts: pa.Array
    """Every different text once."""

    def __len__(self) -> int:
        return len(self.group_ids)

    def text(self, row: int) -> str:
        """Return the text in a row of ``texts``."""
        return str(self.texts[row].as_py())

    def select(self, keep: npt.NDArray[np.bool_]) -> ParallelTable:
        """Return the table of some of the groups; ``keep`` is (groups,)."""
        counts = np.diff(self.negative_start)
        keep_negative = np.repeat(keep, counts)
        return replace(
            self,
            group_ids=[name for name, kept in zip(self.group_ids, keep, strict=True) if kept],
            dataset=self.dataset[keep],
            query=self.query[keep],
            passage=self.passage[keep],
            negative_start=np.concatenate([[0], np.cumsum(counts[keep])]),
            negative=self.negative[keep_negative],
            meaning=self.meaning[keep],
            negative_meaning=self.negative_meaning[keep_negative],
        )

    def restrict(self, langs: Sequence[str]) -> ParallelTable:
        """Return the table with only these languages, less groups without query or passage in them.

        Raises:
            ConfigError: If no group has a text in one of the languages, or no group is left.
        """
        if unknown := [lang for lang in langs if lang not in self.langs]:
            raise ConfigError(
                f"languages: no training text in {', '.join(unknown)}; "
                f"the data has {', '.join(self.langs)}"
            )
        columns = [self.langs.index(lang) for lang in langs]
        query, passage = self.query[:, columns], self.passage[:, columns]
        whole = (query != ABSENT).any(axis=1) & (passage != ABSENT).any(axis=1)
        if not whole.any():
            raise ConfigError(
                f"languages: no group has a query and a passage in {', '.join(langs)}; "
                "list other languages or add data"
            )
        negative = self.negative[:, columns]
        table = replace(self, langs=tuple(langs), query=query, passage=passage, negative=negative)
        return table.select(whole)

    def apart_from(self, other: ParallelTable) -> ParallelTable:
        """Return the table less the groups that mean the same as one of another table's groups."""
        shared = np.zeros(len(self), dtype=bool)
        for mine, theirs in ((self.query, other.query), (self.passage, other.passage)):
            there = {_folded(other.text(row)) for row in np.unique(theirs[theirs != ABSENT])}
            rows = np.unique(mine[mine != ABSENT])
            equal = [row for row in rows if _folded(self.text(row)) in there]
            shared |= np.isin(mine, equal).any(axis=1)
        return self.select(~np.isin(self.meaning, self.meaning[shared]))

    def hold_out(self, groups: int) -> tuple[ParallelTable, ParallelTable]:
        """Split off about ``groups`` groups for development; no meaning is on both sides.

        The choice depends on the names of data sets and groups alone, so every seed and regime of
        an experiment keeps the same groups for development.

        Raises:
            ConfigError: If that is half of the groups or more, or no meaning is small enough.
        """
        if groups * 2 >= len(self):
            raise ConfigError(
                f"development.groups: {groups} of {len(self)} groups is too many to hold out"
            )
        held = np.zeros(len(self), dtype=bool)
        sizes = np.bincount(self.meaning)
        names = map(self._full_name, range(len(self)))
        for g in np.argsort([_stable_hash(name) for name in names], kind="stable"):
            if held.sum() >= groups:
                break
            # Large meanings (a heading that every lesson has) stay in training.
            if not held[g] and sizes[self.meaning[g]] <= max(1, groups // 20):
                held |= self.meaning == self.meaning[g]
        if groups and not held.any():
            raise ConfigError(
                "development.groups: every group shares its question or passage with too many "
                "others to be held out; use development.path or development.groups: 0"
            )
        return self.select(~held), self.select(held)

    def groups(self) -> Iterator[Group]:
        """Yield the groups as records, with ids ``DATASET/ID`` if there are several data sets."""
        for g in range(len(self)):
            negatives = self.negative[self.negative_start[g] : self.negative_start[g + 1]]
            yield Group(
                self._full_name(g),
                self._texts_by_lang(self.query[g]),
                self._texts_by_lang(self.passage[g]),
                [self._texts_by_lang(row) for row in negatives],
            )

    def _full_name(self, group: int) -> str:
        """Return the id, with the name of the data set before it where there are several."""
        group_id = self.group_ids[group]
        if len(self.datasets) == 1:
            return group_id
        return f"{self.datasets[self.dataset[group]]}/{group_id}"

    def _texts_by_lang(self, rows: IntArray) -> dict[str, str]:
        return {
            lang: self.text(int(row))
            for lang, row in zip(self.langs, rows, strict=True)
            if row != ABSENT
        }


def build_table(sources: Mapping[str, Iterable[Group]]) -> ParallelTable:
    """Build the table from named data sets.

    Raises:
        DataError: If a data set has no group, or a group has no query or no passage.
    """
    builder = _Builder()
    for name, groups in sources.items():
        before = len(builder.group_ids)
        for group in groups:
            builder.add(name, group)
        if len(builder.group_ids) == before:
            raise DataError(f"data set {name!r} has no groups")
        builder.datasets.append(name)
    return builder.finish()


class _Builder:
    """Collects texts one by one; ``finish`` turns the lists into arrays."""

    def __init__(self) -> None:
        self.datasets: list[str] = []
        self.group_ids: list[str] = []
        self.dataset: list[int] = []
        self.negative_owner: list[int] = []
        self.rows: dict[str, int] = {}
        # (group or listed negative, language, row of the text)
        self.queries: list[tuple[int, str, int]] = []
        self.passages: list[tuple[int, str, int]] = []
        self.negatives: list[tuple[int, str, int]] = []

    def add(self, name: str, group: Group) -> None:
        """Add a group to the data set that will be named next."""
        if not group.query or not group.passage:
            raise DataError(f"data set {name!r}: group {group.group_id!r} lacks a query or passage")
        number = len(self.group_ids)
        self.group_ids.append(group.group_id)
        self.dataset.append(len(self.datasets))
        self._add_texts(self.queries, number, group.query)
        self._add_texts(self.passages, number, group.passage)
        for negative in group.negatives:
            self._add_texts(self.negatives, len(self.negative_owner), negative)
            self.negative_owner.append(number)

    def finish(self) -> ParallelTable:
        """Return the table."""
        entries = (self.queries, self.passages, self.negatives)
        langs = tuple(sorted({lang for part in entries for _, lang, _ in part}))
        groups, negatives = len(self.group_ids), len(self.negative_owner)
        meaning, negative_meaning = self._meanings()
        counts = np.bincount(np.asarray(self.negative_owner, dtype=np.int64), minlength=groups)
        return ParallelTable(
            langs=langs,
            datasets=tuple(self.datasets),
            group_ids=self.group_ids,
            dataset=np.asarray(self.dataset, dtype=np.int64),
            query=_matrix(self.queries, groups, langs),
            passage=_matrix(self.passages, groups, langs),
            negative_start=np.concatenate([[0], np.cumsum(counts)]),
            negative=_matrix(self.negatives, negatives, langs),
            meaning=meaning,
            negative_meaning=negative_meaning,
            texts=pa.array(self.rows, type=pa.large_string()),
        )

    def _add_texts(
        self, entries: list[tuple[int, str, int]], number: int, texts: Mapping[str, str]
    ) -> None:
        for lang, text in texts.items():
            entries.append((number, lang, self.rows.setdefault(text, len(self.rows))))

    def _meanings(self) -> tuple[IntArray, IntArray]:
        """Join groups that share a question or a passage: components of groups and texts."""
        same_text = _equal_texts(self.rows)
        query_groups, query_texts = _edges(self.queries, same_text)
        passage_groups, passage_texts = _edges(self.passages, same_text)
        groups, texts = len(self.group_ids), len(self.rows)
        nodes = groups + 2 * texts  # groups, questions, passages
        ends = np.concatenate([groups + query_texts, groups + texts + passage_texts])
        starts = np.concatenate([query_groups, passage_groups])
        graph = coo_array((np.ones(len(starts), dtype=bool), (starts, ends)), shape=(nodes, nodes))
        _, component = connected_components(graph, directed=False)
        negative = np.zeros(len(self.negative_owner), dtype=np.int64)
        negatives, negative_texts = _edges(self.negatives, same_text)
        # A passage that no group has is a component of its own, so this is a meaning of its own.
        negative[negatives] = component[groups + texts + negative_texts]
        return component[:groups].astype(np.int64), negative


def _equal_texts(rows: Mapping[str, int]) -> IntArray:
    """Map each text to the first one equal to it but for case and white space."""
    first: dict[str, int] = {}
    return np.fromiter(
        (first.setdefault(_folded(text), row) for text, row in rows.items()),
        dtype=np.int64,
        count=len(rows),
    )


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _edges(
    entries: Sequence[tuple[int, str, int]], same_text: IntArray
) -> tuple[IntArray, IntArray]:
    numbers = np.fromiter((number for number, _, _ in entries), np.int64, len(entries))
    rows = np.fromiter((row for _, _, row in entries), np.int64, len(entries))
    return numbers, same_text[rows]


def _matrix(entries: Sequence[tuple[int, str, int]], rows: int, langs: Sequence[str]) -> IntArray:
    columns = {lang: column for column, lang in enumerate(langs)}
    matrix = np.full((rows, len(langs)), ABSENT, dtype=np.int64)
    for number, lang, row in entries:
        matrix[number, columns[lang]] = row
    return matrix


def _stable_hash(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")
