"""Parallel groups as one table: which text says what, in which language, and which mean the same.

Batches are drawn from this table and never look at a text; the trainer looks texts up by row. The
table also knows which groups must never be each other's negatives. Reading files is elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from isoglot.data.prepared.blocks import BlockBuilder
from isoglot.data.prepared.files import Bytes
from isoglot.data.prepared.hashing import Hashes, found_in
from isoglot.data.prepared.merging import ABSENT, Merged
from isoglot.data.prepared.views import Cells, Names
from isoglot.errors import ConfigError, DataError
from isoglot.records import Group

__all__ = ["ABSENT", "ParallelTable", "build_table"]

IntArray = npt.NDArray[np.int64]
Integers = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class ParallelTable:
    """Groups of several data sets, as arrays, which may be mapped from a prepared folder.

    ``query[g, l]`` and ``passage[g, l]`` are rows of ``texts`` or ``ABSENT``; the listed negatives
    of group ``g`` are the rows ``negative_start[g]:negative_start[g + 1]`` of ``negative``.
    Choosing groups or languages copies none of the large arrays.
    """

    langs: tuple[str, ...]
    datasets: tuple[str, ...]
    group_ids: Names
    dataset: Integers
    """(groups,): position in ``datasets``."""
    query: Cells
    """(groups, languages)."""
    passage: Cells
    """(groups, languages)."""
    negative_start: IntArray
    """(groups + 1,)."""
    negative: Cells
    """(listed negatives, languages)."""
    meaning: Integers
    """(groups,): equal for groups joined by an equal question or an equal passage, in any language,
    directly or through others. Such groups may answer each other's questions."""
    negative_meaning: Integers
    """(listed negatives,): the meaning of the groups with that passage, or one of its own."""
    texts: pa.Array
    """Every different text once."""
    folded: Hashes
    """(texts, 2): equal for texts that are equal but for case and white space."""
    order: npt.NDArray[np.uint64]
    """(groups,): the order in which groups are held out."""
    folder: Path | None = None
    """The prepared folder that the texts are in; None if they are in memory."""

    def __len__(self) -> int:
        return len(self.group_ids)

    def text(self, row: int) -> str:
        """Return the text in a row of ``texts``."""
        return str(self.texts[row].as_py())

    def select(self, keep: npt.NDArray[np.bool_]) -> ParallelTable:
        """Return the table of some of the groups; ``keep`` is (groups,)."""
        groups = np.flatnonzero(keep)
        counts = np.diff(self.negative_start)
        negatives = np.flatnonzero(np.repeat(keep, counts))
        return replace(
            self,
            group_ids=self.group_ids.choose(groups),
            dataset=self.dataset[keep],
            query=self.query.choose(groups),
            passage=self.passage.choose(groups),
            negative_start=np.concatenate([[0], np.cumsum(counts[keep])]),
            negative=self.negative.choose(negatives),
            meaning=self.meaning[keep],
            negative_meaning=self.negative_meaning[negatives],
            order=self.order[keep],
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
        columns = np.array([self.langs.index(lang) for lang in langs])
        query, passage = self.query.choose_langs(columns), self.passage.choose_langs(columns)
        whole = _has_text(query) & _has_text(passage)
        if not whole.any():
            raise ConfigError(
                f"languages: no group has a query and a passage in {', '.join(langs)}; "
                "list other languages or add data"
            )
        negative = self.negative.choose_langs(columns)
        table = replace(self, langs=tuple(langs), query=query, passage=passage, negative=negative)
        return table.select(whole)

    def apart_from(self, other: ParallelTable) -> ParallelTable:
        """Return the table less the groups that mean the same as one of another table's groups."""
        shared = np.zeros(len(self), dtype=bool)
        for mine, theirs in ((self.query, other.query), (self.passage, other.passage)):
            rows = np.unique(theirs[:])
            equal = found_in(self.folded, other.folded[rows[rows != ABSENT]])
            for span, cells in mine.blocks():
                shared[span] |= (equal[cells] & (cells != ABSENT)).any(axis=1)
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
        sizes = np.bincount(self.meaning)
        chosen = np.zeros(len(sizes), dtype=bool)
        held = 0
        for meaning in self.meaning[np.argsort(self.order, kind="stable")]:
            if held >= groups:
                break
            # Large meanings (a heading that every lesson has) stay in training.
            if not chosen[meaning] and sizes[meaning] <= max(1, groups // 20):
                chosen[meaning] = True
                held += int(sizes[meaning])
        if groups and not held:
            raise ConfigError(
                "development.groups: every group shares its question or passage with too many "
                "others to be held out; use development.path or development.groups: 0"
            )
        return self.select(~chosen[self.meaning]), self.select(chosen[self.meaning])

    def groups(self) -> Iterator[Group]:
        """Yield the groups as records, with ids ``DATASET/ID`` if there are several data sets."""
        for g in range(len(self)):
            negatives = self.negative[self.negative_start[g] : self.negative_start[g + 1]]
            name = self.group_ids[g]
            yield Group(
                name if len(self.datasets) == 1 else f"{self.datasets[self.dataset[g]]}/{name}",
                self._texts_by_lang(self.query[g]),
                self._texts_by_lang(self.passage[g]),
                [self._texts_by_lang(row) for row in negatives],
            )

    def _texts_by_lang(self, rows: IntArray) -> dict[str, str]:
        return {
            lang: self.text(int(row))
            for lang, row in zip(self.langs, rows, strict=True)
            if row != ABSENT
        }


def build_table(sources: Mapping[str, Iterable[Group]]) -> ParallelTable:
    """Build the table from named data sets, in memory.

    Raises:
        DataError: If a data set has no group, or a group has no query or no passage.
    """
    blocks = []
    for name, groups in sources.items():
        # What is held out must not depend on the name of the only data set.
        builder = BlockBuilder(name, f"{name}/" if len(sources) > 1 else "")
        for group in groups:
            builder.add(group)
        if not len(builder):
            raise DataError(f"data set {name!r} has no groups")
        blocks.append(builder.finish())
    merged = Merged(blocks, range(len(blocks)))
    meaning, negative_meaning = merged.meanings()
    return ParallelTable(
        langs=merged.langs,
        datasets=tuple(sources),
        group_ids=Names(_strings(merged.names())),
        dataset=merged.dataset,
        query=Cells(np.concatenate(list(merged.cells("query")))),
        passage=Cells(np.concatenate(list(merged.cells("passage")))),
        negative_start=merged.negative_start,
        negative=Cells(np.concatenate(list(merged.cells("negative")))),
        meaning=meaning,
        negative_meaning=negative_meaning,
        texts=_strings(merged.strings()),
        folded=merged.folded,
        order=merged.order,
    )


def _has_text(cells: Cells) -> npt.NDArray[np.bool_]:
    """Say of each group whether it has a text in any language."""
    found = [(block != ABSENT).any(axis=1) for _, block in cells.blocks()]
    return np.concatenate(found)


def _strings(blocks: Iterable[tuple[Bytes, IntArray]]) -> pa.Array:
    """Return the strings of all blocks as one array in memory."""
    contents, ends = zip(*blocks, strict=True)
    sizes = np.cumsum([0, *map(len, contents)])
    shifted = [end + size for end, size in zip(ends, sizes, strict=False)]
    offsets = np.concatenate([[0], *shifted]).astype(np.int64)
    data = pa.py_buffer(np.concatenate(contents))
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), data)
